"""Schedules: the intended sends of a run, computed before it, reproducible by seed and split over workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seatrial.errors import UsageError
from seatrial.load.arrivals import (
    MAX_REQUESTS,
    MAX_SHAPE,
    MIN_SHAPE,
    Arrivals,
    Constant,
    Gamma,
    Offsets,
    Poisson,
    Ramp,
    Steps,
    Trace,
    add_up,
    as_written,
)
from seatrial.load.traces import read_trace

MAX_RATE = 1_000_000.0
FORMS = "constant, poisson, gamma:SHAPE, ramp:FROM-TO, steps:RATExSECONDS,RATExSECONDS, trace:FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The intended sends of one worker."""

    offsets_ns: Offsets
    arrivals: str
    seed: int
    rate: float
    """Requests a second, of what was drawn."""
    cut: str = ""
    """What of the law does not fit into the window, in words; see `describe_cut`."""


def make_schedule(arrivals: Arrivals, *, duration_s: float, seed: int, worker: int = 0, workers: int = 1) -> Schedule:
    """Return the sends of one of `workers`.

    Where the law allows it each worker draws from a stream of its own (numpy's SeedSequence.spawn: streams that share a seed
    send in step); else the whole is drawn once and dealt out in turn.

    Raises:
        UsageError: a duration that is not above 0, a worker that is not there, more than 50 million requests.
    """
    check_positive("the duration", duration_s)
    if not 0 <= worker < workers:
        raise UsageError(f"worker {worker} of {workers} is none: they are counted from 0")
    root = np.random.SeedSequence(seed)
    part = arrivals.thin(workers)
    if part is not None:
        offsets = part.draw(duration_s, np.random.default_rng(root.spawn(workers)[worker]))
    else:
        offsets = arrivals.draw(duration_s, np.random.default_rng(root))[worker::workers]
    return Schedule(
        offsets_ns=np.ascontiguousarray(offsets),
        arrivals=arrivals.describe(),
        seed=seed,
        rate=len(offsets) / duration_s,
        cut=describe_cut(arrivals, duration_s),
    )


def describe_cut(arrivals: Arrivals, duration_s: float) -> str:
    """Return what of a law with times of its own the window leaves out, and how to have it all; empty when nothing."""
    match arrivals:
        case Trace(offsets_s=offsets_s, origin=origin):
            late = sum(offset >= duration_s for offset in offsets_s)
            what = f"{late:,} of the {len(offsets_s):,} requests of the trace {origin}"
            whole = f"{math.floor(max(offsets_s)) + 1} s"
        case Steps(steps=steps):
            whole_s = add_up(steps)
            late_s = float(as_written(whole_s) - as_written(duration_s))
            late = late_s > 0
            what, whole = f"the last {late_s:g} of the {whole_s:g} s of the steps", f"{whole_s:g} s"
        case _:
            return ""
    if not late:
        return ""
    return f"the window of {duration_s:g} s leaves out {what}: a duration of {whole} has them all"


def parse_arrivals(text: str, rate: float | None, duration_s: float) -> Arrivals:
    """Return the law that an option means: `constant`, `poisson`, `gamma:0.5`, `ramp:10-200`, `steps:10x5,50x5`, `trace:FILE`.

    Raises:
        UsageError: it means none, a rate that is not within 0 and a million, a file that holds no times.
    """
    name, _, given = text.partition(":")
    if name == "trace":
        return read_trace(Path(given), MAX_REQUESTS)
    if name == "ramp":
        first, _, last = given.partition("-")
        law: Arrivals = Ramp(first=_read_rate(first), last=_read_rate(last))
        return _bounded(law, (_read_rate(first) + _read_rate(last)) / 2, duration_s)
    if name == "steps":
        steps = tuple(_read_step(each) for each in given.split(","))
        return _bounded(Steps(steps=steps), max(rate for rate, _ in steps), duration_s)
    if rate is None:
        raise UsageError(f"arrivals {text!r} need a rate", fix="give --rate REQUESTS_A_SECOND")
    if not (math.isfinite(rate) and 0 < rate <= MAX_RATE):
        raise UsageError(f"a rate of {rate:g} requests a second is not above 0 and at most {MAX_RATE:,.0f}")
    if name == "constant" and not given:
        return _bounded(Constant(rate=rate), rate, duration_s)
    if name == "poisson" and not given:
        return _bounded(Poisson(rate=rate), rate, duration_s)
    if name == "gamma":
        shape = _read_number("the shape of gamma arrivals", given)
        if not MIN_SHAPE <= shape <= MAX_SHAPE:
            raise UsageError(
                f"the shape of gamma arrivals is {shape:g}, {MIN_SHAPE:g} to {MAX_SHAPE:,.0f} were expected",
                fix="below 1 for bursts, above 1 for gaps that are more alike; 1 is poisson",
            )
        return _bounded(Gamma(rate=rate, shape=shape), rate, duration_s)
    raise UsageError(f"{text!r} is no law of arrival", fix=f"one of {FORMS}")


def make_steps(stages: Sequence[tuple[float, float]], *, poisson: bool) -> Steps:
    """Return the law of stages, `(rate, seconds)`.

    Raises:
        UsageError: a rate that is not within 0 and a million, seconds that are not above 0, more than 50 million requests.
    """
    for rate, length_s in stages:
        _check_rate(rate, f"{rate:g}")
        check_positive("the seconds of a stage", length_s)
    expected = sum(rate * length_s for rate, length_s in stages)
    if expected > MAX_REQUESTS:
        raise UsageError(f"the stages are {expected:,.0f} requests, at most {MAX_REQUESTS:,} were expected")
    return Steps(steps=tuple(stages), poisson=poisson)


def find_highest_rate(duration_s: float) -> float:
    """Return the highest rate that `parse_arrivals` takes for so long."""
    rate = min(MAX_RATE, MAX_REQUESTS / duration_s)
    # The quotient may be rounded up.
    return rate if rate * duration_s <= MAX_REQUESTS else math.nextafter(rate, 0.0)


def check_positive(what: str, value: float) -> None:
    """Raise UsageError when a number is not finite or not above 0."""
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} is {value:g}, a number above 0 was expected")


def _bounded(law: Arrivals, rate: float, duration_s: float) -> Arrivals:
    if rate * duration_s > MAX_REQUESTS:
        raise UsageError(
            f"{rate:g}/s for {duration_s:g} s are {rate * duration_s:,.0f} requests, at most {MAX_REQUESTS:,} were expected"
        )
    return law


def _read_number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{what} is {text!r}, a number was expected", fix=f"one of {FORMS}") from None


def _read_rate(text: str) -> float:
    rate = _read_number("a rate", text)
    _check_rate(rate, text)
    return rate


def _check_rate(rate: float, told: str) -> None:
    if not 0 < rate <= MAX_RATE:
        raise UsageError(f"a rate of {told} requests a second is not above 0 and at most {MAX_RATE:,.0f}")


def _read_step(text: str) -> tuple[float, float]:
    rate, _, seconds = text.partition("x")
    length_s = _read_number("the seconds of a step", seconds)
    check_positive("the seconds of a step", length_s)
    return _read_rate(rate), length_s
