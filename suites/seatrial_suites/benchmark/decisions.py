"""What a search or a comparison of paths came to, as the outcome of a check."""

from __future__ import annotations

from seatrial.checks import InvalidMeasurementError
from seatrial.records import CapacityRecord, FloorRecord

_QUIETER = "run it on a quieter machine"


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


def decide_path(record: FloorRecord) -> None:
    """Pass unless the path is the sooner one beyond doubt: then what it was held against is no floor.

    Raises:
        InvalidMeasurementError: one of the two was no measurement.
        AssertionError: the floor takes longer.
    """
    if record.cost_p50_s is None:
        codes = ", ".join(dict.fromkeys((*record.path.reasons, *record.floor.reasons))) or "too few requests"
        raise InvalidMeasurementError(f"no measurement of the path or of its floor: {codes}", fix=_QUIETER)
    is_sooner = record.cost_high_s is not None and record.cost_high_s < 0
    assert not is_sooner, f"the path takes {-record.cost_p50_s * 1e3:.3f} ms less at p50 than {record.floor.way}"
