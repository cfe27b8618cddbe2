"""Load runs of a session, each made once a target: several checks ask about the same one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from seatrial.checks import InvalidMeasurementError
from seatrial.load.result import LoadResult
from seatrial.plugin import find_session
from seatrial.records import CapacityRecord, FloorRecord, LoadRecord
from seatrial.settings import Settings
from seatrial.trial.measuring import LoadOrder
from seatrial.trial.searching import CapacityOrder

PART_E = "seatrial's list of checks"
LATENCY: LoadOrder = LoadOrder(name="latency", rate=25.0, duration_s=16.0)
"""Where nothing else is asked: the same for every target, down to the times at which each request is due.

Its schedule has 412 requests: under 400 tell no interval of a median, without which targets are put in no order.
"""
NIGHTLY: LoadOrder = dataclasses.replace(LATENCY, duration_s=60.0)
"""The same in the nightly profile."""
QUESTIONS_S, QUESTIONS_RATE, FEWEST_QUESTIONS = 20.0, 20.0, 500
"""Window of a run that is compared with another of the same target, seconds; its rate, where no other is given; and how many
questions it has at least, unless that takes longer than other windows: under 400 tell no interval of a median."""
SEARCH: CapacityOrder = CapacityOrder()
"""The search of the highest rate: the same for every target, as far as their answers are."""
Load = Callable[[LoadOrder], LoadRecord]
Search = Callable[[CapacityOrder], CapacityRecord]
Floor = Callable[[float], FloorRecord]
_RUNS = pytest.StashKey[dict[str, LoadRecord]]()


def order_latency(settings: Settings) -> LoadOrder:
    """Return the run that tells latency: at the rate of the objectives and held against them, where there are any.

    The length of a warm-up (`warm_up_s`) counts without any of them too.
    """
    objectives = settings.objectives
    order = NIGHTLY if settings.general.profile == "nightly" else LATENCY
    if objectives.warm_up_s is not None:
        order = dataclasses.replace(order, warm_up_s=objectives.warm_up_s)
    if not objectives.given:
        return order
    return dataclasses.replace(
        order,
        rate=objectives.rate or order.rate,
        arrivals=objectives.arrivals,
        duration_s=objectives.duration_s,
        objectives=objectives,
    )


def order_capacity(settings: Settings) -> CapacityOrder:
    """Return the search of the highest rate: held against the bounds of the objectives, where there are any."""
    objectives = settings.objectives
    if not objectives.bounds_ms and objectives.error_rate is None:
        return SEARCH
    return dataclasses.replace(SEARCH, objectives=objectives)


def run_latency(request: pytest.FixtureRequest, target: str, load: Load) -> LoadRecord:
    """Return the record of the run that tells the latency of a target, made at the first call; it may be no measurement."""
    order = order_latency(find_session(request.config).settings)
    runs = request.config.stash.setdefault(_RUNS, {})
    if target not in runs:
        runs[target] = load(order)
    return runs[target]


def run_three(request: pytest.FixtureRequest, load: Load, *, is_fresh: bool) -> list[LoadRecord]:
    """Return the records of runs at the same rate: with questions that vary, with one, with others that vary.

    The first alone where the server cannot keep up with it: then there is nothing to compare.

    Args:
        is_fresh: ask what was never asked before (`LoadOrder.fresh`), where the model has it.

    Raises:
        AssertionError: an answer was wrong.
        InvalidMeasurementError: one was no measurement, however often it was tried.
    """
    order = order_latency(find_session(request.config).settings)
    rate = order.rate or QUESTIONS_RATE
    duration_s = min(max(QUESTIONS_S, FEWEST_QUESTIONS / rate), order.duration_s)
    # Of a law with rates of its own nobody knows how many questions it needs.
    order = dataclasses.replace(order, rate=rate, arrivals="poisson", duration_s=duration_s, objectives=None)
    records: list[LoadRecord] = []
    for place, (name, cases) in enumerate((("varied", 0), ("repeated-input", 1), ("varied-again", 0)), 1):
        fresh = place if is_fresh else 0
        record = load(dataclasses.replace(order, name=name, cases=cases, fresh=fresh))
        require_right(record)
        records.append(require_valid(record))
        if is_fresh and records[0].result.saturated:
            break
    return records


def require_right(record: LoadRecord) -> None:
    """Raise AssertionError when an answer was wrong or another request's: whether times are valid makes it no better."""
    result = record.result
    assert result.wrong == result.mixed_up == 0, describe_answers(result)


def describe_answers(result: LoadResult) -> str:
    """Return how many requests of the window came to what, and what is wrong with answers."""
    counts = ", ".join(f"{count} {name}" for name, count in result.outcomes.items())
    return "; ".join([f"of {result.requests} requests {counts}", *result.examples])


def require_valid(record: LoadRecord) -> LoadRecord:
    """Return a record that is a measurement. Raises InvalidMeasurementError when it is none."""
    if not record.result.valid:
        said = "; ".join(f"{reason.code}: {reason.message}" for reason in record.result.reasons)
        raise InvalidMeasurementError(
            f"no measurement in {record.attempt} attempts: {said}", fix=record.result.reasons[0].fix
        )
    return record
