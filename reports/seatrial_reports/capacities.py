"""Searches for capacity as reports show them: a bracket a target, every run, and an order only where brackets are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from seatrial.load.calibration import TIMES_FLOOR, Calibration, Quantile, is_distinguishable
from seatrial.load.capacity import Kept, Rung
from seatrial.load.objectives import QUANTILES
from seatrial.load.result import ObjectiveVerdict
from seatrial.records import CapacityRecord, CapacityRunRecord, RunResult
from seatrial.trial.result import CAPACITY
from seatrial_reports.limits import show_cpu_limit, show_throttled
from seatrial_reports.quantities import DASH, Figure, dash
from seatrial_reports.ranking import explain_no_floor

_MEASUREMENTS: Final = 2
"""Of an end by which targets are put in an order."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bracket:
    """One search; `kept` and `missed` are the ends that put it in an order, None where one is open."""

    record: CapacityRecord
    kept: float | None
    missed: float | None
    doubts: tuple[str, ...]
    """Why an end that the search found is open all the same, in words."""


def list_capacities(run: RunResult) -> list[CapacityLine]:
    """Return the searches of all targets."""
    return [_describe(record) for result in run.targets.values() for record in result.capacities]


def rank_capacities(run: RunResult) -> CapacityRanking | None:
    """Return the order of targets by capacity; None without two that kept a rate, under the same objectives.

    A target begins a group when the lowest rate that it missed is no higher than the highest that each before it kept. One of
    which no rate was missed is behind nobody.

    That a rate was kept or missed is a comparison of times with a bound, so there is no order without the noise floor of the
    machine. An end of a bracket is open, as if it had not been found, unless it was measured twice and came out the same by more
    than noise: kept with every quantile three times the floor below its bound, or missed by an overload, by failures or by a
    quantile three times the floor above its bound. Quantiles other than the median are held against the floor of p99: of others
    none is measured.
    """
    found = {
        record.target: record
        for result in run.targets.values()
        for record in result.capacities
        if record.name == CAPACITY and record.capacity.highest_kept is not None
    }
    if len(found) < 2 or len({record.capacity.objectives for record in found.values()}) > 1:
        return None
    why_none = explain_no_floor(run.calibration)
    if run.calibration is None or why_none:
        return CapacityRanking(groups=(), note=why_none)
    brackets = [_find_bracket(record, run.calibration) for record in sorted(found.values(), key=_order)]
    groups: list[list[_Bracket]] = []
    for bracket in brackets:
        group = [bracket]
        while not all(_is_below(bracket, each) for earlier in groups for each in earlier):
            group = groups.pop() + group
        groups.append(group)
    doubts = "; ".join(f"{each.record.target}: {', '.join(each.doubts)}" for each in brackets if each.doubts)
    return CapacityRanking(
        groups=tuple(
            ", ".join(f"{each.record.target} {_show_bracket(each.record)}" for each in group) for group in groups
        ),
        note="A group begins where its brackets lie below all before it; within one, no order is given. "
        + (f"Ends that put nobody in an order: {doubts}. " if doubts else "")
        + "What is not limited alike is not comparable all the same.",
    )


def _order(record: CapacityRecord) -> tuple[float, str]:
    return (-(record.capacity.highest_kept or 0.0), record.target)


def _is_below(bracket: _Bracket, other: _Bracket) -> bool:
    return bracket.missed is not None and other.kept is not None and bracket.missed <= other.kept


def _find_bracket(record: CapacityRecord, calibration: Calibration) -> _Bracket:
    kept, missed = record.capacity.highest_kept, record.capacity.lowest_missed
    whys = {
        "kept": _explain_doubt(record, kept, "kept", calibration),
        "missed": _explain_doubt(record, missed, "missed", calibration),
    }
    return _Bracket(
        record=record,
        kept=None if whys["kept"] else kept,
        missed=None if whys["missed"] else missed,
        doubts=tuple(why for why in whys.values() if why),
    )


def _explain_doubt(record: CapacityRecord, rate: float | None, status: Kept, calibration: Calibration) -> str:
    """Return why an end is open though the search found it; empty when it stands, and when there is none."""
    if rate is None:
        return ""
    found = [
        _is_beyond_noise(rung, each, calibration)
        for rung, each in zip(record.capacity.rungs, record.runs, strict=True)
        if rung.rate == rate and rung.status == status
    ]
    if len(found) < _MEASUREMENTS:
        return f"{rate:.4g}/s was {status} once only"
    if sum(found) < _MEASUREMENTS:
        return f"{rate:.4g}/s was not surely {status} by {TIMES_FLOOR:g} times this machine's noise floor"
    return ""


def _is_beyond_noise(rung: Rung, each: CapacityRunRecord, calibration: Calibration) -> bool:
    """Whether two runs of the same thing would both be kept, or both be missed."""
    verdicts = rung.judgement.verdicts
    if rung.status == "kept":
        return all(_is_far(verdict, calibration) for verdict in verdicts if verdict.name in QUANTILES)
    if each.saturated:
        return True
    return any(
        verdict.name not in QUANTILES or _is_among_failures(verdict, each) or _is_far(verdict, calibration)
        for verdict in verdicts
        if verdict.status == "missed"
    )


def _is_among_failures(verdict: ObjectiveVerdict, each: CapacityRunRecord) -> bool:
    """That nothing was found is not enough: of few requests a quantile is not known either."""
    return verdict.found is None and each.requests - each.failed < QUANTILES[verdict.name] * each.requests


def _is_far(verdict: ObjectiveVerdict, calibration: Calibration) -> bool:
    """Whether a quantile, in milliseconds, is told from its bound."""
    found_s = None if verdict.found is None else verdict.found / 1e3
    quantile: Quantile = "p50" if verdict.name == "p50_ms" else "p99"
    return is_distinguishable(found_s, verdict.bound / 1e3, calibration, quantile)


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
