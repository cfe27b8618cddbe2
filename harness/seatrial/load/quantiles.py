"""Quantiles of raw samples, and how sure they are."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from seatrial.load.result import Interval, Quantiles

Times = npt.NDArray[np.int64]
"""Nanoseconds, shape (samples,)."""

FOREVER_NS: Final = 1 << 60
"""Longer than any run: where a request that was not answered (in time, or right) ranks among those that were."""
FEWEST: Final = {0.5: 2, 0.9: 10, 0.95: 20, 0.99: 100, 0.999: 10_000}
"""Samples below which a quantile is not given: it would be the largest sample, or next to it."""
BATCHES: Final = 20
"""Whose means tell how much neighbours are alike."""
# Independent bursts beyond a quantile; with fewer nothing can be said at all.
_FEWEST_BEYOND = 2
# Where bursts that reach the tail happen to be few, the quantile comes out low and so does the estimate of how much neighbours
# are alike, which is therefore taken for half as much again. With few bursts that estimate is itself uncertain, by as much as
# that of a third as many degrees of freedom. With both, intervals hold what they promise (scripts/measure_intervals.py).
_ALIKE_FACTOR = 1.5
_BURSTS_PER_DEGREE = 3


def find_quantile(times: Times, p: float) -> int | None:
    """Return the quantile, nanoseconds: the smallest sample that at least the share `p` of them does not exceed.

    That is numpy's `inverted_cdf`, definition 1 of Hyndman and Fan, Sample Quantiles in Statistical Packages (1996): always a
    sample, never a mean of two. None when there are fewer samples than `FEWEST` says.
    """
    if len(times) < FEWEST.get(p, math.ceil(10 / (1 - p))):
        return None
    place = max(math.ceil(p * len(times) - 1e-9) - 1, 0)
    return int(np.partition(times, place)[place])


def summarize(times: Times) -> Quantiles:
    """Return the quantiles of `times`, in seconds."""
    ordered = np.sort(times)

    def read(p: float) -> float | None:
        enough = len(ordered) >= FEWEST[p]
        return int(ordered[math.ceil(p * len(ordered) - 1e-9) - 1]) / 1e9 if enough else None

    return Quantiles(
        p50=read(0.5),
        p90=read(0.9),
        p95=read(0.95),
        p99=read(0.99),
        p99_9=read(0.999),
        max=int(ordered[-1]) / 1e9 if len(ordered) else None,
    )


def find_interval(times_in_order: Times, p: float, confidence: float = 0.95) -> Interval | None:
    """Return a confidence interval of a quantile, seconds, for samples in the order in which they were taken.

    Neighbours are alike (a queue that is long stays long for a while), so the variance of the share above the quantile is
    estimated from the means of twenty batches (Law, Simulation Modeling and Analysis, 9.5), never below that of independent
    samples; the interval of the share is Wilson's with so many samples less, and its ends are read off the ordered samples.
    None when there are too few samples, or so few that an end would lie beyond the largest or the smallest of them. What
    did not happen within the samples, such as a stall that comes once in twice their time, no interval can know of.
    """
    count = len(times_in_order)
    if find_quantile(times_in_order, p) is None or count < BATCHES**2:
        return None
    quantiles = [find_quantile(times_in_order, level) or 0 for level in list_levels(p)]
    ranks = find_ranks(count, p, max(_find_inflation(times_in_order > each) for each in quantiles), confidence)
    if ranks is None:
        return None
    ordered = np.partition(times_in_order, ranks)
    return Interval(low=int(ordered[ranks[0]]) / 1e9, high=int(ordered[ranks[1]]) / 1e9, confidence=confidence)


def list_levels(p: float) -> tuple[float, ...]:
    """Return the quantiles by which is estimated how much neighbours are alike, for an interval of one.

    Bursts that reach the tail are few; how long they last is known better from those that reach a little less far.
    """
    return tuple(dict.fromkeys((p, max(1 - 5 * (1 - p), 0.5), max(1 - 25 * (1 - p), 0.5))))


def find_ranks(count: int, p: float, inflation: float, confidence: float) -> tuple[int, int] | None:
    """Return the places, from 0, of the ends of a quantile's interval among `count` ordered samples; None as `find_interval`.

    Args:
        count: samples.
        p: the quantile.
        inflation: how much less they tell than as many independent ones would.
        confidence: of the interval.
    """
    effective = count / inflation
    beyond = effective * min(p, 1 - p)
    if beyond < _FEWEST_BEYOND:
        return None
    score = _student(confidence, min(BATCHES - 1, beyond / _BURSTS_PER_DEGREE))
    centre = (p + score**2 / (2 * effective)) / (1 + score**2 / effective)
    half = score * math.sqrt(p * (1 - p) / effective + score**2 / (4 * effective**2)) / (1 + score**2 / effective)
    low, high = math.floor((centre - half) * count), math.ceil((centre + half) * count)
    return None if low < 1 or high >= count - 1 else (low, high)


def find_share_interval(flags_in_order: npt.NDArray[np.bool_], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return a confidence interval of the share that is true, from 0 to 1, for samples in the order in which they were taken.

    Byar's approximation of the exact interval of a Poisson count (Breslow and Day, Statistical Methods in Cancer Research,
    volume 2, 1987, 2.3), wider than a binomial one and right for few and for none, with so many samples less as neighbours
    are alike. None when there are too few samples.
    """
    count = len(flags_in_order)
    if count < BATCHES**2:
        return None
    found = int(np.count_nonzero(flags_in_order))
    rarer = min(found, count - found)
    inflation = _find_inflation(flags_in_order)
    score, bursts = _student(confidence, BATCHES - 1), rarer / inflation
    low = _find_poisson_bound(bursts, -score) * inflation / count if rarer else 0.0
    high = min(_find_poisson_bound(bursts + 1, score) * inflation / count, 1.0)
    return (low, high) if rarer == found else (1 - high, 1 - low)


def _find_poisson_bound(events: float, score: float) -> float:
    return events * max(1 - 1 / (9 * events) + score / (3 * math.sqrt(events)), 0.0) ** 3


def _find_inflation(flags_in_order: npt.NDArray[np.bool_]) -> float:
    """Return how much less the samples tell of the share that is true than as many independent ones would, 1 or more."""
    length = len(flags_in_order) // BATCHES
    batches = flags_in_order[: length * BATCHES].reshape(BATCHES, length).mean(axis=1)
    mean = float(flags_in_order.mean())
    alike = float(batches.var(ddof=1)) * length / max(mean * (1 - mean), 1.0 / len(flags_in_order))
    return widen_inflation(alike)


def widen_inflation(alike: float) -> float:
    """Return what is taken for how much less samples tell, 1 or more, where batches found them so much alike."""
    return 1 + _ALIKE_FACTOR * max(alike - 1, 0.0)


def _student(confidence: float, degrees: float) -> float:
    """Student's t for a two-sided interval, by Cornish and Fisher's expansion (Abramowitz and Stegun, 26.7.5)."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return float(z + first / degrees + second / degrees**2)


def as_times(values: npt.NDArray[Any]) -> Times:
    """Return a column of samples as an array of its own."""
    return np.ascontiguousarray(values, dtype=np.int64)
