"""A result as text: what was asked, what came of it, and what was compared."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.load.analysis import NO_FIGURES
from seatrial.load.result import Lag, LoadResult, Quantiles, Rate, Reason
from seatrial.load.summary import render_load


def render(**changes: Any) -> list[str]:
    known: dict[str, Any] = {
        "mode": "open",
        "arrivals": "constant",
        "valid": True,
        "saturated": False,
        "requests": 12,
        "errors": 1,
        "wrong": 2,
        "censored": 0,
        "rate": Rate(requested=10, scheduled=10.0, achieved=9.0),
        "response_time_s": NO_FIGURES,
        "service_time_s": NO_FIGURES,
        "failure_time_s": NO_FIGURES,
        "dispatch_lag_s": Lag(p50=None, p99=None, max=None),
        "duration_s": 1.2,
        "outcomes": {"answered": 9, "wrong": 2, "timed_out": 1},
    }
    return render_load(LoadResult(**{**known, **changes}), "http://127.0.0.1:1/").splitlines()


@pytest.mark.parametrize(
    ("checked", "told"),
    [(True, "every answer was compared with the model's own"), (False, "answers were not compared with anything")],
)
def test_how_many_there_were_and_whether_they_were_compared_is_told_once(checked: bool, told: str) -> None:
    lines = render(checked=checked)

    assert lines.count(f"12 requests: 9 answered, 2 wrong, 1 timed out; {told}") == 1
    assert sum("requests: " in line for line in lines) == 1


def test_what_is_wrong_with_answers_is_told_once() -> None:
    lines = render(checked=True, mixed_up=2, examples=("case a: too large", "case b: nothing"))
    at = lines.index("2 answers are another request's")

    assert lines[at + 1 : at + 3] == ["  case a: too large", "  case b: nothing"]
    assert sum("case a" in line for line in lines) == 1
    assert not any("another request's" in line for line in render(checked=True))


def test_what_the_window_left_out_is_a_remark() -> None:
    assert "remark: 2 of 4 are left out" in render(cut="2 of 4 are left out")


@pytest.mark.parametrize(("checked", "doubled", "shown"), [(True, 3.0, 1), (True, 0.0, 0), (False, 3.0, 0)])
def test_what_was_in_flight_twice_is_a_remark_where_answers_are_compared(
    checked: bool, doubled: float, shown: int
) -> None:
    lines = render(checked=checked, client={"doubled": doubled})

    assert sum(line.startswith("remark: 3 requests, warm-up included, asked what another") for line in lines) == shown


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (
            {"answered": 396, "refused": 4},
            "4 of 400 requests failed (1.00%): p99, max are",
        ),
        (
            {"answered": 399, "wrong": 1, "unsent": 9},
            "1 of 400 requests failed (0.25%): max is",
        ),
        ({"answered": 400}, ""),
    ],
)
def test_why_a_quantile_has_no_value_is_a_remark(outcomes: dict[str, int], told: str) -> None:
    """That of fewer than 10,000 requests none is called p99.9 is no doing of failures."""
    known = {"p50": 0.1, "p90": 0.1, "p95": 0.1, "p99_9": None}
    times = Quantiles(**known, p99=None if "p99" in told else 0.1, max=None if told else 0.1)
    lines = render(requests=sum(outcomes.values()), outcomes=outcomes, response_time_s=times)

    remarks = [line for line in lines if line.startswith("remark: ")]
    shown = [
        remark.partition(" among them")[0].replace(", which count as slower than any answer", "") for remark in remarks
    ]
    assert shown == ([f"remark: {told}"] if told else [])
    assert not any("remark" in line for line in render(valid=False, outcomes=outcomes, requests=400))


def test_a_closed_loop_that_is_no_measurement_shows_no_figure_but_what_was_sent() -> None:
    reason = Reason(code="client-saturated", message="it worked all the time", fix="a quieter machine")
    lines = render(
        mode="closed",
        valid=False,
        reasons=(reason,),
        rate=Rate(requested=None, scheduled=None, achieved=None),
        connections_opened=3,
    )

    assert "rate: -; 3 connections opened" in lines
    assert not any("/s" in line for line in lines)
    assert "12 requests: 9 answered, 2 wrong, 1 timed out; answers were not compared with anything" in lines
    at = lines.index("INVALID: the client or the machine could not measure, so there are neither times nor a rate")
    assert lines[at + 1 :] == ["  client-saturated: it worked all the time", "    Fix: a quieter machine"]


def test_what_came_of_a_schedule_is_told_of_an_open_loop_that_is_no_measurement_too() -> None:
    lines = render(valid=False)

    assert "rate: 10/s requested, 10.0/s scheduled, 9.0/s answered right; 0 connections opened" in lines
    assert lines[-1] == "INVALID: the client or the machine could not measure, so there are no times"


@pytest.mark.parametrize(("stationary", "shown"), [(False, 1), (True, 0), (None, 0)])
def test_times_that_were_not_level_are_a_remark_beside_the_verdict(stationary: bool | None, shown: int) -> None:
    lines = render(window_stationary=stationary, window_course="p50 rose 3 -> 9 ms")

    assert lines.count("remark: response times were not level over the window: p50 rose 3 -> 9 ms") == shown
    assert lines[-1] == "valid"
