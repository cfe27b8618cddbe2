"""A stall of the server is charged to it: response times beside the closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

import numpy as np

from load_table.row import Options, Reading
from load_table.running import Measured, measure, measure_valid
from load_table.verdicts import are_enough
from seatrial.load.arrivals import Constant
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed, Stall

RATE = 500.0
DELAY_S = 0.005
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999, "max": 1.0}
AROUND = {"p50": (0.0, 1.0), "p99": (0.985, 0.995)}
"""Of which requests, by rank, the steps of a quantile's time are told."""
MUST = "p50 within 0.2 ms; p99, p99.9 and max within max(2 %, 5 ms) of the closed form"


def predict(duration_s: float, at_s: float, stall_s: float) -> dict[str, float]:
    """Return the response times, seconds, of constant arrivals: what is due in the stall is answered at its end."""
    due = [k / RATE + DELAY_S for k in range(round(RATE * duration_s))]
    took = sorted(at_s + stall_s - each + DELAY_S if at_s <= each < at_s + stall_s else DELAY_S for each in due)
    return {name: took[max(math.ceil(p * len(took) - 1e-9) - 1, 0)] for name, p in QUANTILES.items()}


def allow(name: str, expected_s: float) -> float:
    """Return how far off a quantile may be, seconds."""
    return 0.0002 if name == "p50" else max(0.02 * expected_s, 0.005)


def measure_stalls(options: Options) -> Iterator[Reading]:
    """Freeze for 0.5, 1 and 2 s, in turn."""
    duration_s = options.choose(30.0, 21.0)
    stalls = (1.0,) if options.quick else (0.5, 1.0, 2.0)
    errors: dict[float, list[dict[str, float]]] = {each: [] for each in stalls}
    parts: dict[str, list[dict[str, float]]] = {name: [] for name in AROUND}
    for _ in range(options.repeats):
        for stall_s in stalls:
            measured = measure_valid(options, f"stall of {stall_s:g} s", lambda: _run(duration_s, stall_s))  # noqa: B023
            if measured is not None:
                errors[stall_s].append(_compare(measured, predict(duration_s, duration_s / 3, stall_s)))
                for name, (low, high) in AROUND.items():
                    parts[name].append(take_apart(measured, low, high))
    for stall_s, found in errors.items():
        yield judge(stall_s, found, predict(duration_s, duration_s / 3, stall_s), options.repeats)
    for name, each in parts.items():
        if each:
            yield read_parts(name, each)


def _run(duration_s: float, stall_s: float) -> Measured:
    stall = Stall(at_s=duration_s / 3, length_s=stall_s)
    return measure(
        Behaviour(service=Fixed(seconds=DELAY_S), stalls=(stall,), real_time=True),
        Constant(rate=RATE),
        duration_s=duration_s,
    )


def _compare(measured: Measured, expected: dict[str, float]) -> dict[str, float]:
    response = measured.result.response_time_s
    got = {name: getattr(response, name) for name in QUANTILES}
    return {name: math.inf if value is None else value - expected[name] for name, value in got.items()}


def judge(stall_s: float, found: list[dict[str, float]], expected: dict[str, float], repeats: int) -> Reading:
    """Return the line of one stall, from what the valid runs' quantiles are off, seconds."""
    errors = {name: median(each[name] for each in found) if found else math.inf for name in QUANTILES}
    shown = ", ".join(f"{name.replace('_', '.')} {error * 1e3:+.2f} ms" for name, error in errors.items())
    return Reading(
        what=f"freeze of {stall_s:g} s, constant {RATE:g}/s, service of 5 ms in parallel",
        must=MUST,
        reached=f"{shown} (medians of {len(found)} valid runs)" if found else f"no valid run of {repeats}",
        met=are_enough(len(found), repeats)
        and all(abs(errors[name]) <= allow(name, expected[name]) for name in errors),
        figures={f"{name}_error_s": error if math.isfinite(error) else None for name, error in errors.items()},
    )


def take_apart(measured: Measured, low: float, high: float) -> dict[str, float]:
    """Return where the time of the requests between two quantiles goes, seconds, by both logs; medians of each step."""
    samples, served = measured.samples, measured.served
    took_ns = samples["last_ns"] - samples["intended_ns"]
    chosen = np.argsort(took_ns, kind="stable")[int(low * len(took_ns)) : math.ceil(high * len(took_ns))]
    steps = {
        "the pacer sends": samples["sent_ns"] - samples["intended_ns"],
        "to the server": served["arrived_ns"] - samples["sent_ns"],
        "the server beyond what it was to take": served["written_ns"] - served["due_ns"],
        "to the pacer": samples["first_ns"] - served["written_ns"],
        "the pacer reads": samples["last_ns"] - samples["first_ns"],
    }
    return {name: float(np.median(each[chosen])) / 1e9 for name, each in steps.items()}


def read_parts(quantile: str, parts: list[dict[str, float]]) -> Reading:
    """Return the remark on parts of a quantile's time, seconds a run."""
    medians = {name: median(each[name] for each in parts) for name in parts[0]}
    return Reading(
        what=f"where the {quantile}'s surplus goes, by the specimen's own log",
        must="nothing: it tells of what the surplus of the lines above is made",
        reached=", ".join(f"{name} {seconds * 1e6:.0f} us" for name, seconds in medians.items()),
        met=None,
        figures={f"{quantile}: {name}": seconds for name, seconds in medians.items()},
        is_remark=True,
    )
