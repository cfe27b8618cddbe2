"""Measures how soon a level server is found to be level, and how often one that still warms up is, on servers whose law is known.

python scripts/measure_warm_up.py --seeds 200
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seatrial.load.stationarity import WarmUpVerdict, judge_warm_up

Floats = npt.NDArray[np.float64]
Level = Callable[[Floats], Floats]
LEVEL_MS = 3.0


def draw_queue(at_s: Floats, rng: np.random.Generator, load: float, slow_s: float = 0.0) -> Floats:
    """Milliseconds in a queue with exponential service, twice as long as it will be for the first `slow_s` seconds."""
    services = rng.exponential(load * at_s[-1] / len(at_s), len(at_s)) * np.where(at_s < slow_s, 2.0, 1.0)
    walk = np.cumsum(np.concatenate([[0.0], services[:-1] - np.diff(at_s)]))
    return (walk - np.minimum.accumulate(walk) + services) * 1e3


def draw_alike(at_s: Floats, rng: np.random.Generator) -> Floats:
    """Milliseconds whose logarithms follow a first-order autoregression, each nine tenths of the one before."""
    noise = rng.normal(0, 0.5 * np.sqrt(1 - 0.9**2), len(at_s))
    logs, last = np.empty(len(at_s)), 0.0
    for place, each in enumerate(noise):
        last = logs[place] = 0.9 * last + each
    return LEVEL_MS * np.exp(logs)


def draw_around(level: Level, spread: float = 0.5) -> Callable[[Floats, np.random.Generator], Floats]:
    """Independent lognormal milliseconds around a level, in multiples of what it will be."""
    return lambda at_s, rng: LEVEL_MS * level(at_s) * np.exp(spread * rng.normal(size=len(at_s)))


def draw_humps(at_s: Floats, rng: np.random.Generator) -> Floats:
    """Milliseconds, one in ten from a slower path."""
    return np.where(rng.random(len(at_s)) < 0.1, rng.normal(30, 3, len(at_s)), rng.normal(3, 0.3, len(at_s)))


LEVEL_LAWS = {
    "constant": lambda at_s, rng: np.full(len(at_s), LEVEL_MS),  # noqa: ARG005 - nothing is random
    "quiet": draw_around(np.ones_like, 0.05),
    "lognormal": draw_around(np.ones_like),
    "two humps": draw_humps,
    "M/M/1 at 70 %": lambda at_s, rng: draw_queue(at_s, rng, 0.7),
    "M/M/1 at 90 %": lambda at_s, rng: draw_queue(at_s, rng, 0.9),
    "alike": draw_alike,
    "a pause every 2 s": draw_around(lambda at_s: np.where(at_s % 2 < 0.2, 5.0, 1.0)),
}
# With when they are within a tenth of their level for good.
WARMING_LAWS = {
    "decay of 1 s": (draw_around(lambda at_s: 1 + 3 * np.exp(-at_s)), 3.4),
    "decay of 3 s": (draw_around(lambda at_s: 1 + 3 * np.exp(-at_s / 3)), 10.2),
    "quiet decay of 3 s": (draw_around(lambda at_s: 1 + 3 * np.exp(-at_s / 3), 0.1), 10.2),
    "step after 3 s": (draw_around(lambda at_s: np.where(at_s < 3, 4.0, 1.0)), 3.0),
    "small step after 3 s": (draw_around(lambda at_s: np.where(at_s < 3, 1.5, 1.0)), 3.0),
    "slow fall over 30 s": (draw_around(lambda at_s: np.maximum(1, 4 - at_s / 10)), 29.0),
    "queue slow for 3 s": (lambda at_s, rng: draw_queue(at_s, rng, 0.7, slow_s=3.0), 3.0),
}
MOVING_LAWS = {
    "overload": lambda at_s, rng: draw_queue(at_s, rng, 1.2),
    "leak": draw_around(lambda at_s: 1 + at_s / 20),
}


def run(law: Callable[[Floats, np.random.Generator], Floats], seed: int, rate: int, seconds: int = 60) -> WarmUpVerdict:
    """Look once a second until it is over."""
    rng = np.random.default_rng([seed, rate])
    at_s = np.sort(rng.random(rate * seconds) * seconds)
    took_s = law(at_s, rng) / 1e3
    ends_ns, took_ns = ((at_s + took_s) * 1e9).astype(np.int64), (took_s * 1e9).astype(np.int64)
    verdicts = (
        judge_warm_up(ends_ns[chosen], took_ns[chosen], elapsed_s=float(now_s))
        for now_s in range(1, seconds + 1)
        for chosen in [ends_ns < now_s * 10**9]
    )
    return next(each for each in verdicts if each.over)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    laws = {name: (law, 0.0) for name, law in LEVEL_LAWS.items()} | WARMING_LAWS
    laws |= {name: (law, float("inf")) for name, law in MOVING_LAWS.items()}
    for name, (law, level_s) in laws.items():
        for rate in (50, 300):
            verdicts = [run(law, seed, rate) for seed in range(options.seeds)]
            ended = sorted(each.elapsed_s for each in verdicts)
            early = sum(bool(each.stationary) and each.elapsed_s < level_s for each in verdicts)
            sys.stdout.write(
                f"{name:<20} {rate:3}/s level from {level_s:4.3g} s: over after {ended[len(ended) // 2]:2.0f} s in the median, "
                f"{ended[int(0.95 * len(ended))]:2.0f} s in 95 %; {sum(bool(each.stationary) for each in verdicts)} of "
                f"{options.seeds} stationary, {early} too early\n"
            )


if __name__ == "__main__":
    main()
