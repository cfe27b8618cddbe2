"""Percentiles beside numpy's, and how often intervals hold the truth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from load_table.row import Options, Reading
from seatrial.load.quantiles import Times, summarize

NAMES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
COVERAGE = 0.93


def measure_percentiles(options: Options) -> Iterator[Reading]:
    """A million raw samples of three laws, 10 us to 60 s."""
    del options
    rng = np.random.default_rng(1)
    laws = {
        "log-uniform": np.exp(rng.uniform(np.log(1e-5), np.log(60.0), 1_000_000)),
        "lognormal": np.clip(rng.lognormal(np.log(0.01), 1.5, 1_000_000), 1e-5, 60.0),
        "two-humped": np.where(
            rng.random(1_000_000) < 0.02, rng.normal(30.0, 2.0, 1_000_000), rng.normal(0.001, 1e-5, 1_000_000)
        ),
    }
    largest = max(_find_error((each * 1e9).astype(np.int64)) for each in laws.values())
    nine = summarize(np.arange(1, 10_000, dtype=np.int64)), summarize(np.arange(1, 10_001, dtype=np.int64))
    withheld = nine[0].p99_9 is None and nine[1].p99_9 is not None
    yield Reading(
        what="percentiles of 1,000,000 samples, 10 us to 60 s, against numpy's on the raw samples",
        must="within 0.1 %; p99.9 only with 10,000 samples or more",
        reached=f"at most {largest:.4%} off; p99.9 of 9,999 {'withheld, of 10,000 given' if withheld else 'NOT withheld'}",
        met=largest <= 0.001 and withheld,
    )


def _find_error(times: Times) -> float:
    summary = summarize(times)
    return max(abs(float(getattr(summary, name)) * 1e9 / float(np.quantile(times, p)) - 1) for name, p in NAMES.items())


def measure_coverage(options: Options) -> Iterator[Reading]:
    """Nominal 95 % on servers whose law is known; `scripts/measure_intervals.py` does the counting."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from measure_intervals import PROBABILITIES, SERVERS, measure

    # With fewer runs chance would decide.
    runs, samples = 3000, 20_000
    for name in SERVERS:
        for p in PROBABILITIES:
            found = measure(name, p, runs=runs, samples=samples)
            share = found.held / found.given if found.given else 0.0
            yield Reading(
                what=f"intervals of p{p * 100:g}, {name}, {samples:,} samples",
                must="hold the true value in at least 93 % (nominal 95 %)",
                reached=f"{share:.1%} of {found.given} given ({runs - found.given} not given: too little to tell); "
                f"width {found.width:.1%}",
                met=share >= COVERAGE,
                figures={"coverage": share, "given": float(found.given)},
            )
    yield from _measure_stopping(options)
    yield from _measure_merged(options)


def _measure_stopping(options: Options) -> Iterator[Reading]:
    from measure_intervals import BOUNDS, PROBABILITIES, SERVERS, measure_stopping

    runs, samples = int(options.choose(200, 100)), 20_000
    shares = {}
    for name in SERVERS:
        for p in PROBABILITIES:
            for bound in BOUNDS:
                found = measure_stopping(name, p, bound, runs=runs, samples=samples)
                told = "no bound" if bound is None else f"a bound of {bound:g} times the truth"
                shares[f"{name}, p{p * 100:g}, {told}"] = found.held / found.given if found.given else 0.0
    yield _tell_lowest("intervals of runs that stop early", shares, runs)


def _measure_merged(options: Options) -> Iterator[Reading]:
    from measure_intervals import OWN_QUEUES, SERVERS, measure_merged

    runs, samples = int(options.choose(300, 100)), 20_000
    shares = {
        f"{name}, p{p * 100:g}, {workers} workers": found.held / found.given if found.given else 0.0
        for name in (*SERVERS, OWN_QUEUES)
        for workers in (2, 3, 4)
        for p, found in measure_merged(name, workers, runs=runs, samples=samples).items()
    }
    yield _tell_lowest("intervals of several workers of Locust together", shares, runs)


def _tell_lowest(what: str, shares: dict[str, float], runs: int) -> Reading:
    lowest = min(shares, key=lambda name: shares[name])
    return Reading(
        what=f"{what}, {len(shares)} combinations, {runs} runs each",
        must="hold the true value in at least 93 % (nominal 95 %)",
        reached=f"{shares[lowest]:.1%} at least ({lowest})",
        met=shares[lowest] >= COVERAGE,
        figures={"coverage": shares[lowest]},
    )
