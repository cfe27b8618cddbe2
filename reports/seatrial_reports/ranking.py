"""Which target answers sooner, as far as a trial can tell: no order that two runs of the same thing would have too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.load.calibration import TIMES_FLOOR, Calibration, is_distinguishable
from seatrial.load.quantiles import FEWEST_FOR_INTERVAL
from seatrial.load.result import LoadResult
from seatrial.load.summary import list_among_failures
from seatrial.records import RunResult
from seatrial.trial.result import LATENCY, find_latency

_INCOMPARABLE = "What is not limited alike is not comparable all the same."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Groups of targets, the soonest first, in words; within a group none is told from another."""

    groups: tuple[str, ...]
    note: str


def rank_targets(run: RunResult) -> Ranking | None:
    """Return the order of targets by the median response time of their last valid latency run; None without two that had one.

    A target begins a group when its median is three times the noise floor of the machine above that of each before, and their
    confidence intervals do not overlap; one without an interval is told from none. A run that is saturated has no place: its
    times grow with its length. The note names who has none, and why.
    """
    found = {
        name: find_latency(target.loads)
        for name, target in run.targets.items()
        if any(load.name == LATENCY for load in target.loads)
    }
    if len(found) < 2:
        return None
    unfit = {name: why for name, result in found.items() if (why := _explain_unfit(result))}
    results = {name: result for name, result in found.items() if result is not None and name not in unfit}
    left_out = _list_by_cause("Not ranked", unfit)
    why_none = explain_no_floor(run.calibration)
    if len(results) < 2:
        why_none = "No order is given: fewer than two targets have a median to compare."
    if run.calibration is None or why_none:
        return Ranking(groups=(), note=" ".join([why_none, *left_out]))
    groups: list[list[str]] = []
    for name in sorted(results, key=lambda name: results[name].response_time_s.p50 or 0.0):
        group = [name]
        while not all(
            _is_told_apart(results[each], results[name], run.calibration) for earlier in groups for each in earlier
        ):
            group = groups.pop() + group
        groups.append(group)
    return Ranking(
        groups=tuple(", ".join(_describe(name, results[name]) for name in group) for group in groups),
        note=" ".join([*_explain_groups(results, run.calibration), *left_out, _INCOMPARABLE]),
    )


def explain_no_floor(calibration: Calibration | None) -> str:
    """Return why nothing can be put in an order for want of this machine's noise floor; empty when it is known."""
    if calibration is None:
        return (
            "No order is given: what two runs of the same thing differ by on this machine was not measured, "
            "as a trial of the profile standard or nightly does unless its setting `calibrate` is false."
        )
    if not calibration.valid or calibration.noise_floor_p50_s is None or calibration.noise_floor_p99_s is None:
        return "No order is given: what two runs of the same thing differ by on this machine could not be measured."
    return ""


def _explain_unfit(result: LoadResult | None) -> str:
    if result is None:
        return "no measurement"
    if result.saturated:
        return "saturated, so that its times grow with the length of the run"
    if result.response_time_s.p50 is None:
        among = "p50" in list_among_failures(result)
        return "its median lies among requests that failed" if among else "too few requests for a median"
    return ""


def _explain_groups(results: Mapping[str, LoadResult], calibration: Calibration) -> Iterator[str]:
    unsure = {name: why for name, result in results.items() if (why := _explain_no_interval(result))}
    if len(results) - len(unsure) >= 2:
        floor_s = calibration.noise_floor_p50_s or 0.0
        yield (
            f"Medians that differ by less than {TIMES_FLOOR:g} times this machine's noise floor of {floor_s * 1e3:.3f} ms, or "
            "whose confidence intervals overlap, are not told apart."
        )
    yield from _list_by_cause("Told from no other for want of a confidence interval", unsure)


def _explain_no_interval(result: LoadResult) -> str:
    if "p50" in result.intervals:
        return ""
    if result.requests < FEWEST_FOR_INTERVAL:
        return f"fewer than {FEWEST_FOR_INTERVAL} requests were sent"
    return "its requests were too much alike, or too many of them failed"


def _list_by_cause(what: str, causes: Mapping[str, str]) -> list[str]:
    """Return a sentence that names each with its cause, those of one cause together; none when there are none."""
    names = {cause: [name for name, each in causes.items() if each == cause] for cause in causes.values()}
    listed = "; ".join(f"{', '.join(each)} ({cause})" for cause, each in names.items())
    return [f"{what}: {listed}."] if listed else []


def _is_told_apart(first: LoadResult, second: LoadResult, calibration: Calibration) -> bool:
    before, after = first.intervals.get("p50"), second.intervals.get("p50")
    overlap = before is None or after is None or after.low <= before.high
    return not overlap and is_distinguishable(first.response_time_s.p50, second.response_time_s.p50, calibration)


def _describe(name: str, result: LoadResult) -> str:
    return f"{name} {(result.response_time_s.p50 or 0.0) * 1e3:.2f} ms"
