"""Searches for capacity as reports show them: a bracket a target, every run, and an order only where brackets are apart."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.records import CapacityRecord, CapacityRunRecord, RunResult
from seatrial.trial.result import CAPACITY
from seatrial_reports.limits import show_cpu_limit, show_throttled
from seatrial_reports.quantities import DASH, Figure, dash

_NO_MISS = {
    "client-limit": "above the highest kept the client or the machine could not measure",
    "never-missed": "no rate that was allowed was missed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRunLine:
    """One run of a search; `times` are p50 and p99."""

    rate: Figure
    status: str
    times: tuple[Figure, ...]
    failed: str
    throttled: Figure
    seed: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityLine:
    """One search."""

    target: str
    name: str
    kept: Figure
    missed: Figure
    objectives: str
    ended: str
    message: str
    took: str
    cpu_limit: Figure
    network_path: str
    runs: tuple[CapacityRunLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRanking:
    """Groups of targets, the one that takes most first, in words."""

    groups: tuple[str, ...]
    note: str


def list_capacities(run: RunResult) -> list[CapacityLine]:
    """Return the searches of all targets."""
    return [_describe(record) for result in run.targets.values() for record in result.capacities]


def rank_capacities(run: RunResult) -> CapacityRanking | None:
    """Return the order of targets by capacity; None without two that kept a rate, under the same objectives.

    A target begins a group when the lowest rate that it missed is no higher than the highest that each before it kept. One of
    which no rate was missed is behind nobody.
    """
    found = {
        record.target: record
        for result in run.targets.values()
        for record in result.capacities
        if record.name == CAPACITY and record.capacity.highest_kept is not None
    }
    if len(found) < 2 or len({record.capacity.objectives for record in found.values()}) > 1:
        return None
    groups: list[list[CapacityRecord]] = []
    for record in sorted(found.values(), key=_order):
        if groups and not _is_below(record, groups[-1]):
            groups[-1].append(record)
        else:
            groups.append([record])
    return CapacityRanking(
        groups=tuple(", ".join(f"{each.target} {_show_bracket(each)}" for each in group) for group in groups),
        note="A group begins where its brackets lie below all before it; within one, brackets overlap, and no order is given. "
        "What is not limited alike is not comparable all the same.",
    )


def _order(record: CapacityRecord) -> tuple[float, str]:
    return (-(record.capacity.highest_kept or 0.0), record.target)


def _is_below(record: CapacityRecord, group: list[CapacityRecord]) -> bool:
    missed = record.capacity.lowest_missed
    return missed is not None and all(missed <= (each.capacity.highest_kept or 0.0) for each in group)


def _show_bracket(record: CapacityRecord) -> str:
    missed = record.capacity.lowest_missed
    return (
        f"{record.capacity.highest_kept:.4g} to {missed:.4g}/s"
        if missed
        else f"{record.capacity.highest_kept:.4g}/s or more"
    )


def _describe(record: CapacityRecord) -> CapacityLine:
    found = record.capacity
    return CapacityLine(
        target=record.target,
        name=record.name,
        kept=_show_rate(found.highest_kept, "no rate was kept"),
        missed=_show_rate(found.lowest_missed, _NO_MISS.get(found.ended, "the search ended before one was missed")),
        objectives=found.objectives,
        ended=found.ended,
        message=found.message,
        took=f"{len(found.rungs)} runs in {record.took_s:.0f} s, {record.longest_s:.0f} s allowed",
        cpu_limit=show_cpu_limit(record.cpu_limit),
        network_path=f"{record.network_path}, {record.wire}",
        runs=tuple(
            _describe_run(record, each, rung.status, rung.judgement.message)
            for each, rung in zip(record.runs, found.rungs, strict=True)
        ),
    )


def _describe_run(record: CapacityRecord, each: CapacityRunRecord, status: str, message: str) -> CapacityRunLine:
    why = "too few right answers for this quantile" if each.valid else "the run is no measurement"
    return CapacityRunLine(
        rate=_show_rate(each.rate, DASH),
        status=f"{status}, saturated" if each.saturated else status,
        times=tuple(
            dash(why) if value is None else Figure(text=f"{value * 1e3:.2f} ms", value=value * 1e3)
            for value in (each.p50_s, each.p99_s)
        ),
        failed=f"{each.failed} of {each.requests}",
        throttled=show_throttled(each.throttled_periods, record.cpu_limit),
        seed=each.seed,
        message=message,
    )


def _show_rate(value: float | None, why: str) -> Figure:
    return dash(why) if value is None else Figure(text=f"{value:.4g}/s", value=value)
