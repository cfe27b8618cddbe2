"""Quantiles of raw samples, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.result import Interval, Quantiles
from seatrial.load.series import Series, as_series

Times = npt.NDArray[np.int64]
"""Nanoseconds, shape (samples,)."""

FOREVER_NS: Final = 1 << 60
"""Longer than any run: where a request that was not answered (in time, or right) ranks among those that were."""
FEWEST: Final = {0.5: 2, 0.9: 10, 0.95: 20, 0.99: 100, 0.999: 10_000}
"""Samples below which a quantile is not given: it would be the largest sample, or next to it."""
BATCHES: Final = 20
"""Whose means tell how much neighbours are alike."""
FEWEST_FOR_INTERVAL: Final = BATCHES**2
"""Samples below which no interval is given: as many in each batch as there are batches."""
# Independent bursts beyond a quantile; with fewer nothing can be said at all.
_FEWEST_BEYOND = 2
# Where bursts that reach the tail happen to be few, the quantile comes out low and so does the estimate of how much neighbours
# are alike, which is therefore taken for half as much again. With few bursts that estimate is itself uncertain, by as much as
# that of a third as many degrees of freedom. With both, intervals hold what they promise (scripts/measure_intervals.py).
_ALIKE_FACTOR = 1.5
_BURSTS_PER_DEGREE = 3


def find_quantile(times: Times | Series, p: float) -> int | None:
    """Return the quantile, nanoseconds: the smallest sample that at least the share `p` of them does not exceed.

    That is numpy's `inverted_cdf`, definition 1 of Hyndman and Fan, Sample Quantiles in Statistical Packages (1996): always a
    sample, never a mean of two. None when there are fewer samples than `FEWEST` says.
    """
    return _find_quantiles(as_series(times), (p,))[p]


def summarize(times: Times | Series) -> Quantiles:
    """Return the quantiles of `times`, in seconds."""
    # The largest is the quantile that no sample exceeds.
    found = _find_quantiles(as_series(times), (*FEWEST, 1.0))
    seconds = {p: None if value is None else value / 1e9 for p, value in found.items()}
    return Quantiles(
        p50=seconds[0.5],
        p90=seconds[0.9],
        p95=seconds[0.95],
        p99=seconds[0.99],
        p99_9=seconds[0.999],
        max=seconds[1.0],
    )


def find_interval(times_in_order: Times | Series, p: float, confidence: float = 0.95) -> Interval | None:
    """Return a confidence interval of a quantile, seconds, for samples in the order in which they were taken.

    Neighbours are alike (a queue that is long stays long for a while), so the variance of the share above the quantile is
    estimated from the means of twenty batches (Law, Simulation Modeling and Analysis, 9.5), never below that of independent
    samples; the interval of the share is Wilson's with so many samples less, and its ends are read off the ordered samples.
    None when there are too few samples, or so few that an end would lie beyond the largest or the smallest of them. What
    did not happen within the samples, such as a stall that comes once in twice their time, no interval can know of.
    """
    return find_intervals(times_in_order, (p,), confidence)[p]


def find_intervals(
    times_in_order: Times | Series, shares: Sequence[float], confidence: float = 0.95
) -> dict[float, Interval | None]:
    """Return the confidence interval of each of several quantiles (see `find_interval`), which takes fewer readings."""
    series = as_series(times_in_order)
    found = dict[float, Interval | None].fromkeys(shares)
    told = [p for p in shares if _find_place(series.count, p) is not None]
    if series.count < FEWEST_FOR_INTERVAL or not told:
        return found
    quantiles = _find_quantiles(series, tuple(level for p in told for level in list_levels(p)))
    inflations = dict(zip(quantiles, _find_inflations(series, [each or 0 for each in quantiles.values()]), strict=True))
    ranks = {
        p: find_ranks(series.count, p, max(inflations[level] for level in list_levels(p)), confidence) for p in told
    }
    known = {p: ends for p, ends in ranks.items() if ends is not None}
    ends_ns = iter(series.select([place for ends in known.values() for place in ends]))
    for p in known:
        found[p] = Interval(low=next(ends_ns) / 1e9, high=next(ends_ns) / 1e9, confidence=confidence)
    return found


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
    return find_share_above(flags_in_order.astype(np.int64), 0, confidence)


def find_share_above(
    times_in_order: Times | Series, bound_ns: int, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return a confidence interval of the share of times above a bound: see `find_share_interval`."""
    series = as_series(times_in_order)
    count = series.count
    if count < FEWEST_FOR_INTERVAL:
        return None
    found = count_above(series, bound_ns)
    rarer = min(found, count - found)
    (inflation,) = _find_inflations(series, [bound_ns])
    score, bursts = _student(confidence, BATCHES - 1), rarer / inflation
    low = _find_poisson_bound(bursts, -score) * inflation / count if rarer else 0.0
    high = min(_find_poisson_bound(bursts + 1, score) * inflation / count, 1.0)
    return (low, high) if rarer == found else (1 - high, 1 - low)


def count_above(times: Times | Series, bound_ns: int) -> int:
    """Return how many times are above a bound."""
    return sum(int(np.count_nonzero(block > bound_ns)) for block in as_series(times).read())


def _find_place(count: int, p: float) -> int | None:
    """Return where the quantile stands in the ascending order; None when there are too few samples to tell it."""
    fewest = 1 if p == 1 else FEWEST.get(p) or math.ceil(10 / (1 - p))
    if count < fewest:
        return None
    return max(math.ceil(p * count - 1e-9) - 1, 0)


def _find_quantiles(series: Series, shares: Sequence[float]) -> dict[float, int | None]:
    found = {p: _find_place(series.count, p) for p in shares}
    places = {p: place for p, place in found.items() if place is not None}
    return {**found, **dict(zip(places, series.select(list(places.values())), strict=True))}


def _find_poisson_bound(events: float, score: float) -> float:
    return events * max(1 - 1 / (9 * events) + score / (3 * math.sqrt(events)), 0.0) ** 3


def _find_inflations(series: Series, bounds_ns: Sequence[int]) -> list[float]:
    """Return how much less the samples tell of the share above each bound than independent ones would, 1 or more."""
    length = series.count // BATCHES
    above = np.zeros((len(bounds_ns), BATCHES + 1), np.int64)
    for times, batches in series.number(length):
        # What is left over is no batch, and belongs to the mean of all.
        places = np.minimum(batches, BATCHES)
        above += [np.bincount(places[times > bound_ns], minlength=BATCHES + 1) for bound_ns in bounds_ns]
    return [_find_inflation(row[:-1] / length, int(row.sum()), series.count) for row in above]


def _find_inflation(batches: npt.NDArray[np.float64], found: int, count: int) -> float:
    mean = found / count
    return widen_inflation(float(batches.var(ddof=1)) * (count // BATCHES) / max(mean * (1 - mean), 1.0 / count))


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
