"""What a run, a search or a comparison of paths came to, as the outcome of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seatrial.checks import InvalidMeasurementError, UnsupportedError
from seatrial.load.calibration import Calibration, is_distinguishable
from seatrial.load.result import LoadResult
from seatrial.records import CapacityRecord, FloorRecord, LoadRecord
from seatrial_suites.benchmark.runs import describe_answers, require_right, require_valid

FASTER_ALLOWED: Final = 0.9
_QUIETER = "run it on a quieter machine"


def decide_answers(record: LoadRecord) -> None:
    """Pass when every request was answered right.

    A wrong answer fails on any machine: no client makes one by coming late. That there was none may be the client's doing.

    Raises:
        InvalidMeasurementError: the run is no measurement, and no answer in it is wrong.
        AssertionError: an answer is wrong, or in a run that is a measurement there is none.
        UnsupportedError: all are right, and some were asked for twice at a time: whose answer was whose is not told there.
    """
    require_right(record)
    result = require_valid(record).result
    assert result.outcomes.get("answered", 0) == result.requests, describe_answers(result)
    if doubled := result.client.get("doubled"):
        raise UnsupportedError(
            f"all {result.requests} answers of the window are right, but {doubled:.0f} requests, warm-up included, asked what "
            f"another one in flight asked as well, for all {record.cases} golden cases that differ were in flight: had such "
            "answers been exchanged, it would not show; at a lower rate, or with more of them (at most 200 are asked), it would"
        )


def decide_capacity(record: CapacityRecord) -> None:
    """Pass when a rate was kept.

    Raises:
        InvalidMeasurementError: none was, and none was missed either: nothing was measured, or too little.
        AssertionError: every rate that was measured was missed.
    """
    found = record.capacity
    if found.highest_kept is None and (found.lowest_missed is None or found.ended == "undecided"):
        raise InvalidMeasurementError(f"no rate was measured: {found.message}", fix=_QUIETER)
    assert found.highest_kept is not None, f"{found.objectives} is kept at no rate: {found.message}"


def decide_path(record: FloorRecord, calibration: Calibration | None) -> None:
    """Pass unless the path is the sooner one beyond doubt: then what it was held against is no floor.

    Args:
        record: of the path and its floor.
        calibration: of the trial, by which the difference has to be told from noise; None where it made none, and the intervals
            alone decide.

    Raises:
        InvalidMeasurementError: one of the two was no measurement.
        AssertionError: the floor takes longer.
    """
    if record.cost_p50_s is None:
        codes = (
            ", ".join(dict.fromkeys((*record.path.reasons, *record.floor.reasons)))
            or "too few requests, or too many that failed"
        )
        raise InvalidMeasurementError(f"no measurement of the path or of its floor: {codes}", fix=_QUIETER)
    is_sooner = (
        record.cost_high_s is not None
        and record.cost_high_s < 0
        and _is_told_from_noise(record.path.p50_s, record.floor.p50_s, calibration)
    )
    assert not is_sooner, f"the path takes {-record.cost_p50_s * 1e3:.3f} ms less at p50 than {record.floor.way}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """A median and its interval, in seconds."""

    p50_s: float
    low_s: float
    high_s: float


def read_median(result: LoadResult) -> Median:
    """Return the median of a run's response times. Raises InvalidMeasurementError when it is not told."""
    interval, p50_s = result.intervals.get("p50"), result.response_time_s.p50
    if interval is None or p50_s is None:
        raise InvalidMeasurementError(
            f"too few requests were answered to compare medians: {describe_answers(result)}",
            fix="a longer duration_s, or a higher rate",
        )
    return Median(p50_s=p50_s, low_s=interval.low, high_s=interval.high)


def decide_repeated(before: Median, repeated: Median, after: Median, calibration: Calibration | None) -> None:
    """Pass unless one question is answered faster than questions that vary were, before it and after it.

    Args:
        before: of questions that vary.
        repeated: of the one question.
        after: of questions that vary again.
        calibration: of the trial, by which the difference has to be told from noise; None where it made none.

    Raises:
        AssertionError: it is, beyond the intervals and the noise, and by more than a tenth.
    """
    faster = all(
        repeated.high_s < varied.low_s
        and repeated.p50_s < FASTER_ALLOWED * varied.p50_s
        and _is_told_from_noise(repeated.p50_s, varied.p50_s, calibration)
        for varied in (before, after)
    )
    assert not faster, (
        f"p50 {repeated.p50_s * 1e3:.2f} ms for one question, "
        f"{before.p50_s * 1e3:.2f} and {after.p50_s * 1e3:.2f} ms for questions that vary"
    )


def require_new(differed: int, asked: int) -> None:
    """Raise UnsupportedError when questions came again, for nobody can tell then whether all of them are remembered."""
    if differed < asked:
        raise UnsupportedError(
            f"of {asked} questions {differed} differed: who remembers them all is as quick with one as with these"
        )


def _is_told_from_noise(a_s: float | None, b_s: float | None, calibration: Calibration | None) -> bool:
    """Whether no noise that was measured makes up for a difference: by a calibration that could not be made, none is told."""
    return calibration is None or is_distinguishable(a_s, b_s, calibration)
