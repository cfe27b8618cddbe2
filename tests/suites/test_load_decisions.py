"""Checks of capacity and of network paths on records that were made: each of their outcomes, whatever this machine is like."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import pytest

from calibrations import make_calibration
from seatrial.checks import InvalidMeasurementError, UnsupportedError
from seatrial.load.analysis import NO_FIGURES
from seatrial.load.calibration import Calibration
from seatrial.load.capacity import Measured, search_capacity
from seatrial.load.quantiles import BATCHES, find_interval
from seatrial.load.result import Interval, Judgement, Lag, LoadResult, Rate, Reason
from seatrial.pytest_session import TrialSession
from seatrial.records import CapacityRecord, FloorLegRecord, FloorRecord, LoadRecord
from seatrial.settings import Settings
from seatrial.trial.flooring import compare_legs
from seatrial.trial.measuring import CALIBRATION_FILE, LoadOrder, draw_schedule
from seatrial_suites.benchmark import test_load, test_path
from seatrial_suites.benchmark.decisions import (
    Median,
    decide_answers,
    decide_capacity,
    decide_path,
    decide_repeated,
    require_new,
)
from seatrial_suites.benchmark.runs import LATENCY, NIGHTLY, order_latency

if TYPE_CHECKING:
    from seatrial.trial.trial import Trial

INVALID = Judgement(status="undecided", valid=False, message="late-sends")
UNDECIDED = Judgement(status="undecided", message="too few requests")


LATE = Reason(code="late-sends", message="3 of 100 requests were sent late", fix="a quieter machine")


def record_run(*, valid: bool = True, mixed_up: int = 0, **outcomes: int) -> LoadRecord:
    result = LoadResult(
        mode="open",
        valid=valid,
        saturated=False,
        reasons=() if valid else (LATE,),
        requests=sum(outcomes.values()),
        errors=outcomes.get("truncated", 0),
        wrong=outcomes.get("wrong", 0),
        censored=0,
        rate=Rate(requested=20.0, scheduled=20.0, achieved=20.0),
        response_time_s=NO_FIGURES,
        service_time_s=NO_FIGURES,
        failure_time_s=NO_FIGURES,
        dispatch_lag_s=Lag(p50=None, p99=None, max=None),
        duration_s=5.0,
        outcomes=outcomes,
        mixed_up=mixed_up,
    )
    return LoadRecord(
        target="local", name="latency", attempt=3, result=result, network_path="loopback", wire="v2", cases=9
    )


def test_right_answers_pass() -> None:
    decide_answers(record_run(answered=100))


@pytest.mark.parametrize("valid", [True, False], ids=["valid", "invalid"])
@pytest.mark.parametrize("mixed_up", [0, 2])
def test_wrong_answers_fail_whatever_the_timing_was(mixed_up: int, valid: bool) -> None:
    with pytest.raises(AssertionError, match="of 100 requests 98 answered, 2 wrong"):
        decide_answers(record_run(valid=valid, mixed_up=mixed_up, answered=98, wrong=2))


def test_an_exchange_in_the_warm_up_alone_fails_as_well() -> None:
    with pytest.raises(AssertionError):
        decide_answers(record_run(valid=False, mixed_up=1, answered=100))


def test_answers_that_may_have_been_exchanged_unseen_do_not_pass() -> None:
    """All right, and with more requests in flight than there are questions."""
    record = record_run(answered=100)
    shared = msgspec.structs.replace(record, result=msgspec.structs.replace(record.result, client={"doubled": 3.0}))
    with pytest.raises(UnsupportedError, match="all 100 answers .* 3 requests, .* all 9 golden cases"):
        decide_answers(shared)

    wrong = record_run(answered=98, wrong=2)
    with pytest.raises(AssertionError):
        decide_answers(
            msgspec.structs.replace(wrong, result=msgspec.structs.replace(wrong.result, client={"doubled": 3.0}))
        )


def test_requests_without_an_answer_fail_where_the_client_could_measure() -> None:
    with pytest.raises(AssertionError, match="2 truncated"):
        decide_answers(record_run(answered=98, truncated=2))
    with pytest.raises(InvalidMeasurementError, match="late-sends"):
        decide_answers(record_run(valid=False, answered=98, truncated=2))


def search(judgement: Judgement | None = None, capacity: float = 0.0) -> CapacityRecord:
    """Search a server of a known capacity, or one that is always judged alike."""

    def measure(rate: float) -> Measured:
        known = Judgement(status="met" if rate <= capacity else "missed", message="")
        return Measured(judgement=judgement or known)

    return CapacityRecord(
        target="local",
        name="capacity",
        capacity=search_capacity(measure, first_rate=50.0, lowest_rate=8.0, objectives="p99 <= 250 ms"),
        runs=(),
        arrivals="poisson",
        took_s=1.0,
        longest_s=75.0,
        network_path="loopback",
        wire="v2",
    )


def test_a_rate_that_was_kept_passes() -> None:
    decide_capacity(search(capacity=300.0))


def test_no_rate_that_was_kept_fails_with_the_objectives() -> None:
    with pytest.raises(AssertionError, match="p99 <= 250 ms is kept at no rate"):
        decide_capacity(search(capacity=1.0))


@pytest.mark.parametrize("judgement", [INVALID, UNDECIDED], ids=["invalid", "undecided"])
def test_nothing_that_was_measured_is_no_failure_of_the_target(judgement: Judgement) -> None:
    with pytest.raises(InvalidMeasurementError, match="no rate was measured"):
        decide_capacity(search(judgement))


def compare(path_s: float | None, floor_s: float, half_s: float = 0.0001) -> FloorRecord:
    legs = [
        FloorLegRecord(
            way="host network",
            valid=p50_s is not None,
            reasons=() if p50_s is not None else ("late-sends",),
            requests=50,
            p50_s=p50_s,
            p50_low_s=None if p50_s is None else p50_s - half_s,
            p50_high_s=None if p50_s is None else p50_s + half_s,
        )
        for p50_s in (path_s, floor_s)
    ]
    return compare_legs(*legs, target="docker", network_path="published-port", question="GET /", rate=20.0)


@pytest.mark.parametrize(("path_s", "floor_s"), [(0.0009, 0.0005), (0.0009, 0.00095)], ids=["above", "not told apart"])
def test_a_path_that_is_not_sooner_beyond_doubt_passes(path_s: float, floor_s: float) -> None:
    decide_path(compare(path_s, floor_s), make_calibration(0.00001))


@pytest.mark.parametrize("calibration", [None, make_calibration(0.00015)], ids=["not calibrated", "beyond noise"])
def test_a_floor_that_takes_longer_is_none(calibration: Calibration | None) -> None:
    with pytest.raises(AssertionError, match=r"takes 0.600 ms less at p50 than host network"):
        decide_path(compare(0.0009, 0.0015), calibration)


@pytest.mark.parametrize(
    "calibration", [make_calibration(0.00025), make_calibration(None)], ids=["noise", "noise is not known"]
)
def test_a_floor_that_takes_longer_by_what_may_be_noise_passes(calibration: Calibration) -> None:
    decide_path(compare(0.0009, 0.0015), calibration)


def begin_session(directory: Path, calibration: Calibration | None) -> pytest.FixtureRequest:
    """Return the request of a check in a session whose trial, with the default settings, has this calibration."""
    session = object.__new__(TrialSession)
    session.settings = Settings()
    trial = SimpleNamespace(directory=SimpleNamespace(path=directory))
    session._trial = cast("Trial", trial)
    if calibration is not None:
        (directory / CALIBRATION_FILE).write_bytes(msgspec.json.encode(calibration))
    plugins = SimpleNamespace(get_plugin=lambda _name: session)
    return cast("pytest.FixtureRequest", SimpleNamespace(config=SimpleNamespace(pluginmanager=plugins)))


def test_the_check_of_a_path_asks_the_calibration_of_the_trial(tmp_path: Path) -> None:
    facts: dict[str, Any] = {}
    with pytest.raises(AssertionError, match="takes 0.600 ms less"):
        test_path.test_network_path(begin_session(tmp_path, None), lambda _rate: compare(0.0009, 0.0015), facts)
    test_path.test_network_path(
        begin_session(tmp_path, make_calibration(0.00025)), lambda _rate: compare(0.0009, 0.0015), facts
    )


def record_median(order: LoadOrder) -> LoadRecord:
    """Return a run in which one question takes a third less, by half a millisecond."""
    p50_s = 0.001 if order.cases == 1 else 0.0015
    record = record_run(answered=500)
    result = msgspec.structs.replace(
        record.result,
        response_time_s=msgspec.structs.replace(NO_FIGURES, p50=p50_s),
        intervals={"p50": Interval(low=p50_s * 0.99, high=p50_s * 1.01, confidence=0.95)},
    )
    return msgspec.structs.replace(record, result=result, cases=1000)


def test_the_check_of_a_repeated_question_asks_the_calibration_of_the_trial(tmp_path: Path) -> None:
    facts: dict[str, Any] = {}
    with pytest.raises(AssertionError, match="p50 1.00 ms for one question"):
        test_load.test_repeated_question(begin_session(tmp_path, None), record_median, facts)
    test_load.test_repeated_question(begin_session(tmp_path, make_calibration(0.0002)), record_median, facts)


def test_a_path_that_was_not_measured_costs_nothing_that_is_known() -> None:
    with pytest.raises(InvalidMeasurementError, match="late-sends"):
        decide_path(compare(None, 0.0015), None)


def median(p50_s: float) -> Median:
    return Median(p50_s=p50_s, low_s=p50_s * 0.99, high_s=p50_s * 1.01)


@pytest.mark.parametrize("calibration", [None, make_calibration(0.009)], ids=["not calibrated", "beyond noise"])
def test_one_question_that_is_answered_from_memory_is_told(calibration: Calibration | None) -> None:
    with pytest.raises(
        AssertionError, match=r"p50 1.00 ms for one question, 30.00 and 31.00 ms for questions that vary"
    ):
        decide_repeated(median(0.030), median(0.001), median(0.031), calibration)


@pytest.mark.parametrize(
    ("before_s", "after_s"), [(0.0100, 0.0100), (0.0105, 0.0105), (0.0200, 0.0100), (0.0050, 0.0200)]
)
def test_a_machine_that_became_faster_is_no_memory(before_s: float, after_s: float) -> None:
    decide_repeated(median(before_s), median(0.0100), median(after_s), None)


@pytest.mark.parametrize(
    "calibration", [make_calibration(0.0002), make_calibration(None)], ids=["noise", "noise is not known"]
)
@pytest.mark.parametrize(("before_s", "after_s"), [(0.0015, 0.0015), (0.0015, 0.0100)])
def test_what_may_be_noise_is_no_memory(before_s: float, after_s: float, calibration: Calibration) -> None:
    """A third less, with intervals far apart: more than a tenth, but by half a millisecond."""
    decide_repeated(median(before_s), median(0.0010), median(after_s), calibration)


def test_questions_that_came_again_tell_nothing_of_a_long_memory() -> None:
    require_new(500, 500)
    with pytest.raises(UnsupportedError, match="of 500 questions 499 differed"):
        require_new(499, 500)


@pytest.mark.parametrize(
    ("given", "warm_up_s"),
    [({}, None), ({"warm_up_s": "3"}, 3.0), ({"warm_up_s": "0"}, 0.0), ({"warm_up_s": "3", "rate": "50"}, 3.0)],
)
def test_a_warm_up_is_as_long_as_is_said_or_as_it_takes(given: dict[str, str], warm_up_s: float | None) -> None:
    """With objectives and without."""
    settings = Settings().with_given({f"objectives.{name}": value for name, value in given.items()}, "--set")
    order = order_latency(settings)

    assert order.warm_up_s == warm_up_s
    assert order.rate == float(given.get("rate", LATENCY.rate or 0.0))


@pytest.mark.parametrize("order", [LATENCY, NIGHTLY], ids=["standard", "nightly"])
def test_what_is_asked_of_every_target_is_enough_for_an_interval_of_its_median(order: LoadOrder) -> None:
    """Without one targets are put in no order."""
    schedule = draw_schedule(order)
    assert schedule is not None
    times = np.random.default_rng(1).permutation(np.arange(len(schedule.offsets_ns), dtype=np.int64))

    assert find_interval(times, 0.5) is not None
    assert find_interval(times[: BATCHES**2 - 1], 0.5) is None
