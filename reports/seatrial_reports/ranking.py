"""Which target answers sooner, as far as a trial can tell: no order that two runs of the same thing would have too."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.load.calibration import TIMES_FLOOR, Calibration, is_distinguishable
from seatrial.load.result import LoadResult
from seatrial.records import RunResult
from seatrial.trial.result import LATENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Groups of targets, the soonest first, in words; within a group none is told from another."""

    groups: tuple[str, ...]
    note: str


def rank_targets(run: RunResult) -> Ranking | None:
    """Return the order of targets by the median response time of their last valid latency run; None without two of them.

    A target begins a group when its median is three times the noise floor of the machine above that of each before, and their
    confidence intervals do not overlap.
    """
    results = {name: each for name, each in _list_results(run) if each.response_time_s.p50 is not None}
    if len(results) < 2:
        return None
    floor_s = run.calibration.noise_floor_p50_s if run.calibration else None
    if run.calibration is None or floor_s is None:
        return Ranking(
            groups=(),
            note="No order is given: what two runs of the same thing differ by on this machine was not measured, "
            "as a trial of the profile standard or nightly does unless its setting `calibrate` is false."
            if run.calibration is None
            else "No order is given: what two runs of the same thing differ by on this machine could not be measured.",
        )
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
        note=f"Medians that differ by less than {TIMES_FLOOR:g} times this machine's noise floor of {floor_s * 1e3:.3f} ms, or "
        "whose confidence intervals overlap, are not told apart. What is not limited alike is not comparable all the same.",
    )


def _list_results(run: RunResult) -> list[tuple[str, LoadResult]]:
    return [
        (name, load.result)
        for name, target in run.targets.items()
        for load in target.loads
        if load.name == LATENCY and load.result.valid
    ]


def _is_told_apart(first: LoadResult, second: LoadResult, calibration: Calibration) -> bool:
    before, after = first.intervals.get("p50"), second.intervals.get("p50")
    overlap = before is None or after is None or after.low <= before.high
    return not overlap and is_distinguishable(first.response_time_s.p50, second.response_time_s.p50, calibration)


def _describe(name: str, result: LoadResult) -> str:
    return f"{name} {(result.response_time_s.p50 or 0.0) * 1e3:.2f} ms"
