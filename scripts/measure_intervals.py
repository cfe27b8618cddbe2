"""Measures how often the intervals of quantiles hold the true value: nominal 95 %, on servers whose law is known.

python scripts/measure_intervals.py --runs 500 --samples 20000
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from seatrial.load.quantiles import find_interval

Floats = npt.NDArray[np.float64]
PROBABILITIES = (0.5, 0.95, 0.99)
LOAD = 0.7


def draw_lognormal(rng: np.random.Generator, count: int) -> Floats:
    """Independent times of 10 ms in the middle."""
    return rng.lognormal(math.log(0.01), 0.5, count)


def draw_two_humps(rng: np.random.Generator, count: int) -> Floats:
    """Independent times, one in ten of them from a slower path."""
    return np.where(rng.random(count) < 0.1, rng.normal(0.1, 0.01, count), rng.normal(0.01, 0.001, count))


def draw_queue(rng: np.random.Generator, count: int) -> Floats:
    """Times in an M/M/1 queue at 70 % load: neighbours are alike. Lindley's recursion, as a running maximum."""
    gaps, services = rng.exponential(1.0, count), rng.exponential(LOAD, count)
    steps = np.concatenate([[0.0], services[:-1] - gaps[1:]])
    walk = np.cumsum(steps)
    return 0.01 * (walk - np.minimum.accumulate(walk) + services)


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
    "M/M/1 at 70 %": (draw_queue, find_queue),
}


def measure(name: str, p: float, *, runs: int, samples: int, seed: int = 1) -> tuple[int, int, float]:
    """Return how many intervals were given, how many hold the true quantile, and their median width relative to it."""
    draw, find = SERVERS[name]
    truth = find(p)
    given, held, widths = 0, 0, []
    for stream in np.random.SeedSequence(seed).spawn(runs):
        times = draw(np.random.default_rng(stream), samples)
        interval = find_interval((times * 1e9).astype(np.int64), p)
        if interval is None:
            continue
        given += 1
        held += interval.low <= truth <= interval.high
        widths.append((interval.high - interval.low) / truth)
    return given, held, float(np.median(widths)) if widths else math.nan


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--samples", type=int, default=20_000)
    options = parser.parse_args()
    for name in SERVERS:
        for p in PROBABILITIES:
            given, held, width = measure(name, p, runs=options.runs, samples=options.samples)
            share = f"{held / given:6.1%}" if given else "   -  "
            sys.stdout.write(
                f"{name:<14} p{p * 100:<4g} {given:4} given, {share} hold the true value, width {width:.1%}\n"
            )


if __name__ == "__main__":
    main()
