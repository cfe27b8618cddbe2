"""Load runs of a session, each made once a target: several checks ask about the same one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seatrial.checks import InvalidMeasurementError
from seatrial.records import LoadRecord
from seatrial.trial.measuring import LoadOrder

PART_E = "seatrial's list of checks"
LATENCY: LoadOrder = LoadOrder(name="latency", rate=20.0)
"""The same for every target, down to the times at which each request is due."""
Load = Callable[[LoadOrder], LoadRecord]
_RUNS = pytest.StashKey[dict[tuple[str, str], LoadRecord]]()


def run_once(request: pytest.FixtureRequest, target: str, load: Load, order: LoadOrder) -> LoadRecord:
    """Return the record of the order's run on a target; made at the first call.

    Raises:
        InvalidMeasurementError: it was no measurement, however often it was tried.
    """
    runs = request.config.stash.setdefault(_RUNS, {})
    key = (target, order.name)
    if key not in runs:
        runs[key] = load(order)
    record = runs[key]
    if not record.result.valid:
        said = "; ".join(f"{reason.code}: {reason.message}" for reason in record.result.reasons)
        raise InvalidMeasurementError(
            f"no measurement in {record.attempt} attempts: {said}", fix=record.result.reasons[0].fix
        )
    return record
