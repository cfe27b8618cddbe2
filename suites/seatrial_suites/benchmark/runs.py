"""Load runs of a session, each made once a target: several checks ask about the same one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from seatrial.checks import InvalidMeasurementError
from seatrial.load.objectives import Objectives
from seatrial.plugin import find_session
from seatrial.records import LoadRecord
from seatrial.trial.measuring import LoadOrder

PART_E = "seatrial's list of checks"
LATENCY: LoadOrder = LoadOrder(name="latency", rate=20.0)
"""Where nothing else is asked: the same for every target, down to the times at which each request is due."""
Load = Callable[[LoadOrder], LoadRecord]
_RUNS = pytest.StashKey[dict[tuple[str, str], LoadRecord]]()


def order_latency(objectives: Objectives) -> LoadOrder:
    """Return the run that tells latency: at the rate of the objectives and held against them, where there are any."""
    if not objectives.given:
        return LATENCY
    return dataclasses.replace(
        LATENCY,
        rate=objectives.rate or LATENCY.rate,
        arrivals=objectives.arrivals,
        duration_s=objectives.duration_s,
        objectives=objectives,
    )


def run_latency(request: pytest.FixtureRequest, target: str, load: Load) -> LoadRecord:
    """Return the record of the run that tells the latency of a target; made at the first call.

    Raises:
        InvalidMeasurementError: it was no measurement, however often it was tried.
    """
    order = order_latency(find_session(request.config).settings.objectives)
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
