"""Quantiles of raw samples, and how sure they are."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from seatrial.load.result import Interval, Quantiles

Times = npt.NDArray[np.int64]
"""Nanoseconds, shape (samples,)."""

FEWEST: Final = {0.5: 2, 0.9: 10, 0.95: 20, 0.99: 100, 0.999: 10_000}
"""Samples below which a quantile is not given: it would be the largest sample, or next to it."""
_BATCHES = 20
# Independent bursts beyond a quantile. With few of them the estimate of the variance is itself uncertain, by as much as that
# of a third as many degrees of freedom: with that, intervals hold what they promise (scripts/measure_intervals.py).
_FEWEST_BEYOND = 6


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
    samples; the interval of the share is Wilson's with so many samples less,
    and its ends are read off the ordered samples. None when there are too few samples.
    """
    count = len(times_in_order)
    place = find_quantile(times_in_order, p)
    if place is None or count < _BATCHES**2:
        return None
    # Bursts that reach the tail are few; how long they last is known better from those that reach a little less far.
    inflation = max(
        _find_inflation(times_in_order, share) for share in (p, max(1 - 5 * (1 - p), 0.5), max(1 - 25 * (1 - p), 0.5))
    )
    effective = count / inflation
    beyond = effective * min(p, 1 - p)
    if beyond < _FEWEST_BEYOND:
        return None
    score = _student(confidence, min(_BATCHES - 1, beyond / 3))
    centre = (p + score**2 / (2 * effective)) / (1 + score**2 / effective)
    half = score * math.sqrt(p * (1 - p) / effective + score**2 / (4 * effective**2)) / (1 + score**2 / effective)
    ordered = np.sort(times_in_order)
    low = min(max(math.floor((centre - half) * count), 0), count - 1)
    high = min(max(math.ceil((centre + half) * count), 0), count - 1)
    return Interval(low=int(ordered[low]) / 1e9, high=int(ordered[high]) / 1e9, confidence=confidence)


def _find_inflation(times_in_order: Times, share: float) -> float:
    """Return how much less the samples tell of a quantile than as many independent ones would, 1 or more."""
    place = find_quantile(times_in_order, share)
    if place is None:
        return 1.0
    above = times_in_order > place
    length = len(above) // _BATCHES
    batches = above[: length * _BATCHES].reshape(_BATCHES, length).mean(axis=1)
    mean = float(above.mean())
    return max(1.0, float(batches.var(ddof=1)) * length / max(mean * (1 - mean), 1.0 / len(above)))


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
