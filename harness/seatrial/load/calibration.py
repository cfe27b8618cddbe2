"""What this machine can tell apart, from runs over specimens of known latency: what measuring adds to what they did by their own
log, and what two runs of the same thing differ by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

CALIBRATION_SCHEMA: Final = "seatrial.calibration/1"
SPECIMENS: Final = ("delay-0ms", "delay-1ms", "delay-5ms", "delay-50ms", "bimodal", "heavy-tail")
RATE: Final = 200.0
TIMES_FLOOR: Final = 3.0
"""A difference of so many times the noise floor, or more, is told from noise."""
_SHARE_OF_PAIRS: Final = 0.95

Quantile = Literal["p50", "p99"]


class SpecimenFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of one specimen; seconds, medians over its valid runs. `true` is by its own log."""

    name: str
    runs: Annotated[int, Meta(description="valid ones")]
    invalid: Annotated[int, Meta(description="runs that could not measure; each was repeated at most twice")]
    requests: Annotated[int, Meta(description="a run")]
    true_p50_s: float | None
    true_p99_s: float | None
    p50_s: float | None
    p99_s: float | None
    bias_p50_s: Annotated[float | None, Meta(description="measured less true, run by run")]
    bias_p99_s: float | None
    dispatch_lag_p50_s: float | None
    dispatch_lag_p99_s: float | None
    spread_p50_s: Annotated[float | None, Meta(description="the largest difference between two runs")]
    spread_p99_s: float | None
    spread_p50: Annotated[float | None, Meta(description="the same, as a share of the measured median")]
    spread_p99: float | None


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this machine can tell apart, and what measuring adds on it."""

    schema: Annotated[str, Meta(description=CALIBRATION_SCHEMA)] = CALIBRATION_SCHEMA
    valid: Annotated[bool, Meta(description="false: a specimen has fewer valid runs than were asked for")]
    noise_floor_p50_s: Annotated[
        float | None,
        Meta(description="95 % of pairs of runs of the same thing differ by at most this; null when not valid"),
    ]
    noise_floor_p99_s: float | None
    longest_s: Annotated[
        float | None, Meta(description="median of the slowest specimen: beyond it the floor grows in proportion")
    ]
    network_p50_s: Annotated[
        float | None, Meta(description="what the host's own network and both event loops add to an answer of 0 ms")
    ]
    network_p99_s: float | None
    dispatch_lag_p50_s: float | None
    dispatch_lag_p99_s: float | None
    specimens: tuple[SpecimenFigures, ...]
    rate: Annotated[float, Meta(description="requests a second, equal gaps")]
    duration_s: Annotated[float, Meta(description="of a run")]
    cpus: Annotated[int, Meta(description="that this process may use")]
    steal_share: Annotated[
        float | None, Meta(description="the largest part of CPU time that the hypervisor took in a run")
    ]
    made_at: Annotated[str, Meta(description="UTC, ISO 8601")]
    steal_worst_share: Annotated[float | None, Meta(description="the same, of the worst second of any run")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRun:
    """One run over one specimen; seconds. `true` is by the specimen's log: from its reading of a request to its answer."""

    name: str
    requests: int
    p50_s: float
    p99_s: float
    true_p50_s: float
    true_p99_s: float
    dispatch_lag_p50_s: float
    dispatch_lag_p99_s: float
    steal_share: float | None = None
    steal_worst_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """How much is run: each specimen `repeats` times, one after another before any of them again."""

    specimens: tuple[str, ...] = SPECIMENS
    repeats: int = 5
    duration_s: float = 4.0


FULL: Final = CalibrationPlan()
QUICK: Final = CalibrationPlan(repeats=3, duration_s=1.0)
BRIEF: Final = CalibrationPlan(specimens=("delay-0ms", "delay-5ms", "delay-50ms"), repeats=3, duration_s=1.0)
"""Of nine pairs the floor is the largest difference, so that few runs make it no lower."""


def summarize_runs(
    plan: CalibrationPlan, runs: Sequence[CalibrationRun], invalid: Sequence[str], *, made_at: str
) -> Calibration:
    """Return what runs, and the names of those that were invalid, say of this machine."""
    figures = tuple(
        _describe(name, [run for run in runs if run.name == name], invalid.count(name)) for name in plan.specimens
    )
    valid = all(each.runs >= max(plan.repeats, 2) for each in figures)
    undelayed = next((each for each in figures if each.name == "delay-0ms"), None)
    steals = [run.steal_share for run in runs if run.steal_share is not None]
    worst = [run.steal_worst_share for run in runs if run.steal_worst_share is not None]
    return Calibration(
        valid=valid,
        noise_floor_p50_s=find_noise_floor(runs, "p50") if valid else None,
        noise_floor_p99_s=find_noise_floor(runs, "p99") if valid else None,
        longest_s=max((each.p50_s for each in figures if each.p50_s is not None), default=None),
        network_p50_s=undelayed.bias_p50_s if undelayed else None,
        network_p99_s=undelayed.bias_p99_s if undelayed else None,
        dispatch_lag_p50_s=_take_median([run.dispatch_lag_p50_s for run in runs]),
        dispatch_lag_p99_s=_take_median([run.dispatch_lag_p99_s for run in runs]),
        specimens=figures,
        rate=RATE,
        duration_s=plan.duration_s,
        cpus=len(os.sched_getaffinity(0)),
        steal_share=max(steals, default=None),
        steal_worst_share=max(worst, default=None),
        made_at=made_at,
    )


def find_noise_floor(runs: Sequence[CalibrationRun], quantile: Quantile) -> float | None:
    """Return what two runs of the same thing differ by: of all pairs of runs of the same specimen, 95 % by at most this, seconds.

    None when no specimen has two runs.
    """
    names = dict.fromkeys(run.name for run in runs)
    differences = [difference for name in names for difference in _list_differences(_read(runs, name, quantile))]
    if not differences:
        return None
    return float(np.quantile(differences, _SHARE_OF_PAIRS, method="inverted_cdf"))


def is_distinguishable(
    a_s: float | None, b_s: float | None, calibration: Calibration | None, quantile: Quantile = "p50"
) -> bool:
    """Whether two times, seconds, differ by three times the noise floor or more, so that one may be said to be the shorter.

    It says nothing of how sure each of them is: that is for their intervals. False where a time or the floor is unknown.
    """
    if a_s is None or b_s is None or calibration is None:
        return False
    floor_s = calibration.noise_floor_p50_s if quantile == "p50" else calibration.noise_floor_p99_s
    if floor_s is None or calibration.longest_s is None:
        return False
    beyond = max(1.0, min(a_s, b_s) / calibration.longest_s)
    return abs(a_s - b_s) >= TIMES_FLOOR * floor_s * beyond


def _describe(name: str, runs: Sequence[CalibrationRun], invalid: int) -> SpecimenFigures:
    p50_s = _take_median([run.p50_s for run in runs])
    p99_s = _take_median([run.p99_s for run in runs])
    spread_p50_s = max(_list_differences([run.p50_s for run in runs]), default=None)
    spread_p99_s = max(_list_differences([run.p99_s for run in runs]), default=None)
    return SpecimenFigures(
        name=name,
        runs=len(runs),
        invalid=invalid,
        requests=runs[0].requests if runs else 0,
        true_p50_s=_take_median([run.true_p50_s for run in runs]),
        true_p99_s=_take_median([run.true_p99_s for run in runs]),
        p50_s=p50_s,
        p99_s=p99_s,
        bias_p50_s=_take_median([run.p50_s - run.true_p50_s for run in runs]),
        bias_p99_s=_take_median([run.p99_s - run.true_p99_s for run in runs]),
        dispatch_lag_p50_s=_take_median([run.dispatch_lag_p50_s for run in runs]),
        dispatch_lag_p99_s=_take_median([run.dispatch_lag_p99_s for run in runs]),
        spread_p50_s=spread_p50_s,
        spread_p99_s=spread_p99_s,
        spread_p50=None if spread_p50_s is None or p50_s is None else spread_p50_s / p50_s,
        spread_p99=None if spread_p99_s is None or p99_s is None else spread_p99_s / p99_s,
    )


def _read(runs: Sequence[CalibrationRun], name: str, quantile: Quantile) -> list[float]:
    return [run.p50_s if quantile == "p50" else run.p99_s for run in runs if run.name == name]


def _list_differences(values: Sequence[float]) -> list[float]:
    return [abs(a - b) for a, b in combinations(values, 2)]


def _take_median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
