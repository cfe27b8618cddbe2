"""Objectives: what a sentence asks, and whether a result kept it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from seatrial.errors import UsageError
from seatrial.load.arrivals import Offsets
from seatrial.load.judging import judge
from seatrial.load.objectives import Objectives, parse_objectives
from seatrial.load.quantiles import FOREVER_NS, Times
from seatrial.load.result import Judgement, Lag, LoadResult, Quantiles, Rate, Reason
from seatrial.load.schedules import parse_arrivals

NO_TIMES = Quantiles(p50=None, p90=None, p95=None, p99=None, p99_9=None, max=None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("p99 <= 50 ms and errors < 0.1 %", Objectives(p99_ms=50.0, error_rate=0.001)),
        ("p50<5ms,p99.9<=1s", Objectives(p50_ms=5.0, p999_ms=1000.0)),
        ("P95 ≤ 800 us", Objectives(p95_ms=0.8)),
        ("p999 <= 1e3 ms and p90 <= .5 s", Objectives(p999_ms=1000.0, p90_ms=500.0)),
        ("error rate <= 0.02", Objectives(error_rate=0.02)),
        ("errors <= 0%", Objectives(error_rate=0.0)),
        ("  error_rate < 7 %  ", Objectives(error_rate=0.07)),
    ],
)
def test_a_sentence_is_read(text: str, wanted: Objectives) -> None:
    assert parse_objectives(text) == wanted
    assert parse_objectives(wanted.describe()) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "'' in the objective '' is not a name, <=, a number and a unit"),
        ("fast", "'fast' in the objective 'fast' is not a name"),
        ("p99 <= 50 ms and", "is not a name, <=, a number and a unit"),
        ("p98 <= 50 ms", "bounds 'p98', which is not measured. Did you mean 'p9"),
        ("eror <= 1 %", "Did you mean 'error"),
        ("p99 >= 50 ms", "is no bound from above: <= was expected"),
        ("p99 = 50 ms", "is no bound from above"),
        ("p99 <= 50", "has no unit, one of ms, s, us, µs was expected"),
        ("p99 <= 50 minutes", "has the unit minutes, one of ms"),
        ("p99 <= 50 %", "has the unit %"),
        ("errors <= 5 ms", "has the unit ms, one of %, none was expected"),
        ("p99 <= ms", "has no number after its sign"),
        ("p99 <= fifty ms", "has no number after its sign"),
        ("p99 <= 1.2.3 ms", "has no number after its sign"),
        ("p99 <= nan ms", "cannot be asked"),
        ("p99 <= 0 ms", "cannot be asked: Expected `float` > 0"),
        ("p99 <= -5 ms", "cannot be asked: Expected `float` > 0"),
        ("errors <= 100 %", "cannot be asked: Expected `float` < 1"),
        ("p99 <= 1e999 ms", "cannot be asked"),
        ("p99 <= 5 ms and p99 <= 6 ms", "bounds p99_ms twice"),
    ],
)
def test_a_sentence_that_asks_nothing_is_refused_with_what_was_expected(text: str, wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_objectives(text)

    assert wanted in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("arrivals", ["poisson", "constant", "gamma:0.5", "gamma:.5", "gamma:2"])
def test_laws_of_arrival_that_objectives_take_are_laws(arrivals: str) -> None:
    objectives = msgspec.convert({"arrivals": arrivals}, Objectives)
    offsets: Offsets = parse_arrivals(objectives.arrivals, 10.0, 1.0).draw(1.0, np.random.default_rng(1))
    assert offsets.dtype == np.int64


def make_result(
    *, valid: bool = True, saturated: bool = False, scheduled: float | None = 100.0, achieved: float | None = 99.0
) -> LoadResult:
    return LoadResult(
        mode="closed" if scheduled is None else "open",
        valid=valid,
        saturated=saturated,
        reasons=() if valid else (Reason(code="late-sends", message="", fix=""),),
        requests=0,
        errors=0,
        wrong=0,
        censored=0,
        rate=Rate(requested=scheduled, scheduled=scheduled, achieved=achieved),
        response_time_s=NO_TIMES,
        service_time_s=NO_TIMES,
        failure_time_s=NO_TIMES,
        dispatch_lag_s=Lag(p50=None, p99=None, max=None),
        duration_s=30.0,
    )


def draw(count: int = 3000, failed: int = 0) -> Times:
    """Times from 10 to 20 ms, evenly, in a random order, the last of them failed."""
    times = np.linspace(10e6, 20e6, count).astype(np.int64)
    times[count - failed :] = FOREVER_NS
    return np.random.default_rng(1).permutation(times)


def judge_one(times: Times, **asked: float) -> tuple[str, bool, float | None]:
    judgement = judge(make_result(), times, Objectives(**asked))
    (verdict,) = judgement.verdicts
    assert judgement.status == verdict.status
    assert judgement.message == verdict.message
    return verdict.status, verdict.sure, verdict.found


@pytest.mark.parametrize(
    ("bound_ms", "wanted"),
    [(25.0, ("met", True)), (19.91, ("met", False)), (19.89, ("missed", False)), (19.0, ("missed", True))],
)
def test_what_was_found_decides_and_its_interval_says_how_surely(bound_ms: float, wanted: tuple[str, bool]) -> None:
    status, sure, found = judge_one(draw(), p99_ms=bound_ms)

    assert (status, sure) == wanted
    assert found == pytest.approx(19.9, abs=0.01)


def test_failures_are_infinitely_slow() -> None:
    """Of right answers all are below 20 ms; two in a hundred have none, so the p99 of all requests has no end."""
    times = draw(failed=60)

    assert judge_one(times, p99_ms=1000.0) == ("missed", True, None)
    assert judge_one(times, p95_ms=20.0)[0] == "met"


def test_a_quantile_with_too_few_requests_is_undecided() -> None:
    judgement = judge(make_result(), draw(99), Objectives(p50_ms=20.0, p99_ms=20.0))

    assert [each.status for each in judgement.verdicts] == ["met", "undecided"]
    assert judgement.status == "undecided"
    assert "p99 of all 99 requests cannot be told, at least 100 are needed" in judgement.message


@pytest.mark.parametrize(
    ("count", "bound_ms", "wanted", "words"),
    [
        (99, 9.0, ("missed", False), "but p95 is 19.59 ms already, at most 9 ms was asked"),
        (3000, 9.0, ("missed", True), "but p99 is 19.9 ms already"),
        (3000, 19.95, ("undecided", False), "cannot be told, at least 10000 are needed"),
        (1, 9.0, ("undecided", False), "cannot be told"),
    ],
)
def test_a_quantile_of_too_few_requests_is_missed_where_a_lower_one_is_over_its_bound(
    count: int, bound_ms: float, wanted: tuple[str, bool], words: str
) -> None:
    judgement = judge(make_result(), draw(count), Objectives(p999_ms=bound_ms))
    (verdict,) = judgement.verdicts

    assert (verdict.status, verdict.sure, verdict.found) == (*wanted, None)
    assert words in judgement.message


def test_too_few_requests_of_which_too_many_failed_have_missed() -> None:
    judgement = judge(make_result(), draw(3000, failed=60), Objectives(p999_ms=1000.0))

    assert judgement.status == "missed"
    assert "but p99 lies among the failures already" in judgement.message


@pytest.mark.parametrize(
    ("failed", "bound", "wanted"),
    [
        (0, 0.01, ("met", True, 0.0)),
        (0, 0.0001, ("met", False, 0.0)),
        (30, 0.01, ("met", False, 0.01)),
        (31, 0.01, ("missed", False, 31 / 3000)),
        (300, 0.01, ("missed", True, 0.1)),
    ],
)
def test_the_error_rate_is_of_all_requests(failed: int, bound: float, wanted: tuple[str, bool, float]) -> None:
    assert judge_one(draw(failed=failed), error_rate=bound) == wanted


def test_nothing_was_asked_of_nobody() -> None:
    assert judge(make_result(), draw(), Objectives()) == Judgement(status="undecided", message="no objective was given")
    assert judge_one(np.empty(0, np.int64), error_rate=0.1)[0] == "undecided"


def test_an_invalid_run_decides_nothing() -> None:
    judgement = judge(make_result(valid=False), draw(), Objectives(p99_ms=1.0, error_rate=0.1, rate=100.0))

    assert (judgement.status, judgement.valid) == ("undecided", False)
    assert {each.status for each in judgement.verdicts} == {"undecided"}
    assert all(each.found is None for each in judgement.verdicts)
    assert "p99_ms is not known: the measurement is invalid (late-sends)" in judgement.message


def test_an_overload_keeps_no_bound_of_times() -> None:
    asked = Objectives(p99_ms=1000.0, error_rate=0.1, rate=100.0)
    judgement = judge(make_result(saturated=True), draw(), asked)

    assert {each.name: each.status for each in judgement.verdicts} == {
        "p99_ms": "missed",
        "error_rate": "met",
        "rate": "missed",
    }
    assert judgement.status == "missed"
    assert judgement.valid


def test_what_holds_under_less_load_than_was_asked_for_is_not_met() -> None:
    asked = Objectives(p99_ms=1000.0, p50_ms=1.0, rate=200.0)
    judgement = judge(make_result(scheduled=100.0), draw(), asked)

    assert {each.name: each.status for each in judgement.verdicts} == {
        "p50_ms": "missed",
        "p99_ms": "undecided",
        "rate": "undecided",
    }
    assert judge(make_result(scheduled=195.0), draw(), Objectives(p99_ms=1000.0, rate=200.0)).status == "met"


@pytest.mark.parametrize(("rate", "wanted"), [(90.0, "met"), (110.0, "missed")])
def test_in_a_closed_loop_the_rate_is_what_came_of_it(rate: float, wanted: str) -> None:
    assert judge(make_result(scheduled=None), draw(), Objectives(rate=rate)).status == wanted


def test_a_closed_loop_that_is_no_measurement_decides_nothing_of_its_rate() -> None:
    judgement = judge(make_result(valid=False, scheduled=None, achieved=None), draw(), Objectives(rate=1.0))

    assert (judgement.status, judgement.valid) == ("undecided", False)
    assert judgement.message == "rate is not known: the measurement is invalid (late-sends)"


def test_a_judgement_survives_json() -> None:
    judgement = judge(make_result(), draw(failed=60), Objectives(p99_ms=50.0, error_rate=0.001, rate=100.0))

    assert msgspec.json.decode(msgspec.json.encode(judgement), type=Judgement) == judgement
