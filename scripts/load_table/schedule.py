"""Whether schedules follow their law, and are sent as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from load_table.row import Options, Reading
from load_table.running import measure
from seatrial.load.arrivals import Constant, Poisson
from seatrial.load.samples import NEVER
from seatrial.load.schedules import make_schedule
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed

WORKERS = range(1, 65)
WINDOWS = 700
RATE = 200.0
RATES = (
    ("0.1", "2000"),
    ("7.3", "1001.1"),
    ("10", "1.1"),
    ("97", "1030.9"),
    ("500", "200"),
    ("9999.9", "10.1"),
    ("123456", "0.81"),
)
"""Requests a second, and for how long."""
# All tests of the row together are wrong in one of ten thousand cases.
ERROR_RATE = 1e-4


def measure_schedule(options: Options) -> Iterator[Reading]:
    """Sends of a run, constant gaps, and Poisson processes of 1 to 64 workers."""
    yield _read_sends(options)
    yield _read_constant()
    yield _read_poisson()


def _read_sends(options: Options) -> Reading:
    """Every run counts, whatever its verdict: a client that is late must send all the same, and one that does not is the miss."""
    missing = extra = total = 0
    for seed in range(1, options.repeats + 1):
        run = measure(Behaviour(service=Fixed(seconds=0.005)), Poisson(rate=500.0), duration_s=5.0, seed=seed)
        sent = run.samples[run.samples["sent_ns"] != NEVER]
        offsets = np.sort(sent["intended_ns"])
        # The first send's own offset gives the start, the schedule all the others.
        offsets = offsets - offsets[0] + run.offsets_ns[0]
        missing += len(np.setdiff1d(run.offsets_ns, offsets))
        extra += len(sent) - len(run.offsets_ns)
        total += len(run.offsets_ns)
        missing += len(run.offsets_ns) - len(run.served)
    return Reading(
        what="sends, Poisson 500/s, against the schedule and the server's log",
        must="every scheduled send made, exactly",
        reached=f"{total} scheduled, {missing} missing, {extra} too many",
        met=missing == 0 and extra == 0,
    )


def _read_constant() -> Reading:
    wrong = gaps = 0
    # As they are written: the floats of some lie above.
    for rate, seconds in RATES:
        offsets = make_schedule(Constant(rate=float(rate)), duration_s=float(seconds), seed=1).offsets_ns
        count = math.ceil(Fraction(rate) * Fraction(seconds))
        exact = [int(Fraction(10**9 * k) / Fraction(rate)) for k in range(count)]
        wrong += abs(len(offsets) - count)
        wrong += sum(offset != wanted for offset, wanted in zip(offsets.tolist(), exact, strict=False))
        gaps += len(offsets)
    return Reading(
        what="constant gaps, 0.1/s to 123,456/s, against exact fractions",
        must="exact to the nanosecond",
        reached=f"{wrong} of {gaps} off",
        met=wrong == 0,
    )


def _read_poisson() -> Reading:
    from scipy import stats  # type: ignore[import-untyped]

    tests = 2 * len(WORKERS)
    level = ERROR_RATE / tests
    least, together = 1.0, set()
    failed = []
    for workers in WORKERS:
        parts = [
            make_schedule(
                Poisson(rate=RATE), duration_s=WINDOWS, seed=workers, worker=worker, workers=workers
            ).offsets_ns
            for worker in range(workers)
        ]
        together |= {len(parts) - len({part[:8].tobytes() for part in parts})}
        whole = np.sort(np.concatenate(parts))
        fits = float(stats.kstest(np.diff(whole) / 1e9, "expon", args=(0, 1 / RATE)).pvalue)
        spread = find_dispersion(whole)
        least = min(least, fits, spread)
        if min(fits, spread) < level:
            failed.append(workers)
    return Reading(
        what=f"Poisson processes of {WORKERS[0]} to {WORKERS[-1]} workers, {WINDOWS} windows of 1 s",
        must=f"Kolmogorov-Smirnov and dispersion at one overall error rate of {ERROR_RATE:g}; no two streams the same",
        reached=f"smallest p-value of {tests} tests {least:.2g}, {level:.1g} allowed; streams in common: {max(together)}",
        met=not failed and together == {0},
    )


def find_dispersion(offsets_ns: npt.NDArray[np.int64]) -> float:
    """Return the two-sided p-value of the counts' variance over their mean (Cochran, Biometrics 10, 1954)."""
    from scipy import stats

    counts = np.bincount(offsets_ns // 1_000_000_000, minlength=WINDOWS)
    statistic = (WINDOWS - 1) * counts.var(ddof=1) / counts.mean()
    below = float(stats.chi2.cdf(statistic, WINDOWS - 1))
    return 2 * min(below, 1 - below)
