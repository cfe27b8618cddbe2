"""Measures how often the intervals of quantiles hold the true value: nominal 95 %, on servers whose law is known.

python scripts/measure_intervals.py --runs 500 --samples 20000
python scripts/measure_intervals.py --runs 500 --stopping
python scripts/measure_intervals.py --runs 500 --workers 3

With --stopping a run ends as soon as its rule says, at the latest after --samples requests. Bounds are multiples of the true
value: the nearer, the more a decision depends on chance.

With --workers each run is that of several workers of Locust: requests are dealt out at random, as Poisson processes are, and
intervals come from what the workers send; of queues there are one that all share and one for each.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seatrial.load.quantiles import find_interval
from seatrial.load.result import Interval
from seatrial.load.slices import Slices
from seatrial.load.stopping import StopRule, WatchedQuantile, judge_stop, plan_looks

Floats = npt.NDArray[np.float64]
PROBABILITIES = (0.5, 0.95, 0.99)
LOAD = 0.7
QUEUE, OWN_QUEUES = "M/M/1 at 70 %", "own M/M/1 each"
WINDOW_NS = 10**12
RATE = 500
"""Requests a second, for the times of the looks."""
BOUNDS = (None, 0.8, 0.95, 1.0, 1.05, 1.1, 1.25, 2.0)


def draw_lognormal(rng: np.random.Generator, count: int) -> Floats:
    """Independent times of 10 ms in the middle."""
    return rng.lognormal(math.log(0.01), 0.5, count)


def draw_two_humps(rng: np.random.Generator, count: int) -> Floats:
    """Independent times, one in ten of them from a slower path."""
    return np.where(rng.random(count) < 0.1, rng.normal(0.1, 0.01, count), rng.normal(0.01, 0.001, count))


def draw_queue(rng: np.random.Generator, count: int) -> Floats:
    """Times in an M/M/1 queue at 70 % load: neighbours are alike."""
    return walk_queue(rng, count)[1]


def walk_queue(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Arrivals, one in a unit of time on average, and times in the queue. Lindley's recursion, as a running maximum."""
    gaps, services = rng.exponential(1.0, count), rng.exponential(LOAD, count)
    steps = np.concatenate([[0.0], services[:-1] - gaps[1:]])
    walk = np.cumsum(steps)
    return np.cumsum(gaps), 0.01 * (walk - np.minimum.accumulate(walk) + services)


def find_lognormal(p: float) -> float:
    """The true quantile."""
    return 0.01 * math.exp(0.5 * NormalDist().inv_cdf(p))


def find_two_humps(p: float) -> float:
    """The true quantile, by bisection of the two normal laws."""
    slow, fast = NormalDist(0.1, 0.01), NormalDist(0.01, 0.001)
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        below = 0.1 * slow.cdf(middle) + 0.9 * fast.cdf(middle)
        low, high = (middle, high) if below < p else (low, middle)
    return low


def find_queue(p: float) -> float:
    """The true quantile: the time in an M/M/1 queue is exponential with mean service / (1 - load)."""
    return -0.01 * LOAD / (1 - LOAD) * math.log(1 - p)


SERVERS: dict[str, tuple[Callable[[np.random.Generator, int], Floats], Callable[[float], float]]] = {
    "lognormal": (draw_lognormal, find_lognormal),
    "two humps": (draw_two_humps, find_two_humps),
    QUEUE: (draw_queue, find_queue),
}


class Held(NamedTuple):
    """How intervals held."""

    given: int
    held: int
    width: float
    """Median, relative to the true quantile."""
    samples: int = 0
    """Median, when it stopped."""
    why: Counter[str] | None = None


def draw_runs(name: str, *, runs: int, samples: int, seed: int = 1) -> Iterator[npt.NDArray[np.int64]]:
    """Return the times of each run, nanoseconds."""
    draw = SERVERS[name][0]
    for stream in np.random.SeedSequence(seed).spawn(runs):
        yield (draw(np.random.default_rng(stream), samples) * 1e9).astype(np.int64)


def measure(name: str, p: float, *, runs: int, samples: int, seed: int = 1) -> Held:
    """Return how the intervals of as many samples held the true quantile."""
    truth = SERVERS[name][1](p)
    found = [find_interval(times, p) for times in draw_runs(name, runs=runs, samples=samples, seed=seed)]
    given = [each for each in found if each is not None]
    widths = [(each.high - each.low) / truth for each in given]
    held = sum(each.low <= truth <= each.high for each in given)
    return Held(len(given), held, float(np.median(widths)) if widths else math.nan)


def measure_stopping(name: str, p: float, bound: float | None, *, runs: int, samples: int, seed: int = 1) -> Held:
    """Return how the intervals held when runs stopped by the rule, the objective's bound at a multiple of the true quantile."""
    truth = SERVERS[name][1](p)
    rule = StopRule(quantiles=(WatchedQuantile(p=p, bound_ms=None if bound is None else truth * 1e3 * bound),))
    looks = plan_looks(samples / RATE)
    given, held, widths, counts, why = 0, 0, [], [], Counter[str]()
    for times in draw_runs(name, runs=runs, samples=samples, seed=seed):
        for look, at_s in enumerate(looks):
            seen = times[: int(at_s * RATE)]
            verdict = judge_stop(seen, rule, look=look, looks=len(looks))
            if verdict.stop:
                break
        why[verdict.why] += 1
        counts.append(len(seen))
        interval = find_interval(seen, p, verdict.confidence)
        if interval is not None:
            given += 1
            held += interval.low <= truth <= interval.high
            widths.append((interval.high - interval.low) / truth)
    return Held(given, held, float(np.median(widths)) if widths else math.nan, int(np.median(counts)), why)


def draw_parts(name: str, rng: np.random.Generator, count: int, workers: int) -> Iterator[tuple[Floats, Floats]]:
    """Offsets within a window of 1 and times of each worker."""
    if name == OWN_QUEUES:
        for _ in range(workers):
            arrivals, times = walk_queue(rng, 2 * count // workers)
            within = arrivals < count // workers
            yield arrivals[within] / (count // workers), times[within]
        return
    if name == QUEUE:
        arrivals, times = walk_queue(rng, 2 * count)
        within = arrivals < count
        arrivals, times = arrivals[within] / count, times[within]
    else:
        arrivals = np.sort(rng.random(rng.poisson(count)))
        times = SERVERS[name][0](rng, len(arrivals))
    dealt = rng.integers(0, workers, len(times))
    for worker in range(workers):
        yield arrivals[dealt == worker], times[dealt == worker]


def measure_merged(name: str, workers: int, *, runs: int, samples: int, seed: int = 1) -> dict[float, Held]:
    """Return how the intervals of several workers' slices held the true quantiles."""
    find_truth = SERVERS[QUEUE if name == OWN_QUEUES else name][1]
    truths = {p: find_truth(p) for p in PROBABILITIES}
    found: dict[float, list[Interval]] = {p: [] for p in PROBABILITIES}
    for stream in np.random.SeedSequence(seed).spawn(runs):
        merged = Slices.none()
        for offsets, times in draw_parts(name, np.random.default_rng(stream), samples, workers):
            part = Slices.make((offsets * WINDOW_NS).astype(np.int64), (times * 1e9).astype(np.int64), WINDOW_NS)
            merged = merged.merge(Slices.decode(part.encode()))
        for p in PROBABILITIES:
            if (interval := merged.find_interval(p)) is not None:
                found[p].append(interval)
    return {
        p: Held(
            len(each),
            sum(interval.low <= truths[p] <= interval.high for interval in each),
            float(np.median([(interval.high - interval.low) / truths[p] for interval in each])) if each else math.nan,
        )
        for p, each in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--stopping", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="of a run; 0: one stream, without Locust")
    parser.add_argument("--server", choices=(*SERVERS, OWN_QUEUES), action="append", help="default: all")
    options = parser.parse_args()
    if options.workers:
        for name in options.server or (*SERVERS, OWN_QUEUES):
            merged = measure_merged(name, options.workers, runs=options.runs, samples=options.samples)
            for p, result in merged.items():
                sys.stdout.write(_describe(name, p, result, f", {options.workers} workers"))
        return
    for name in options.server or SERVERS:
        for p in PROBABILITIES:
            for bound in BOUNDS if options.stopping else (None,):
                if options.stopping:
                    result = measure_stopping(name, p, bound, runs=options.runs, samples=options.samples)
                    told = "no bound " if bound is None else f"bound x{bound:<4g}"
                    told += f", {result.samples:6} samples, {dict(result.why or {})}"
                else:
                    result, told = measure(name, p, runs=options.runs, samples=options.samples), ""
                sys.stdout.write(_describe(name, p, result, f" {told}"))


def _describe(name: str, p: float, result: Held, told: str) -> str:
    share = f"{result.held / result.given:6.1%}" if result.given else "   -  "
    return f"{name:<14} p{p * 100:<4g} {result.given:4} given, {share} hold the true value, width {result.width:.1%}{told}\n"


if __name__ == "__main__":
    main()
