"""Laws of arrival: when requests are meant to be sent, as nanoseconds after the start.

A law is drawn whole, before the first send, so that what the server does cannot change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seatrial.errors import UsageError

Offsets = npt.NDArray[np.int64]
"""Nanoseconds after the start, ascending, shape (requests,)."""

SECOND_NS = 1_000_000_000
MAX_REQUESTS = 50_000_000
"""That may be expected of a law."""
MOST_DRAWN = MAX_REQUESTS + MAX_REQUESTS // 50
"""That may come of it: the count of a random law varies about what is expected, by far less than this at every shape."""
MIN_SHAPE = 0.01
"""Of gamma gaps: they vary by ten times their mean. Below, almost all are nothing, and a window has a burst or none."""
MAX_SHAPE = 1e6
"""They vary by a thousandth of their mean. Above, they are constant gaps, and at last no numbers."""


def as_written(number: float) -> Fraction:
    """Return the shortest decimal that is this float, which is what somebody wrote: of 1.1 s a tenth each makes eleven.

    The float itself lies up to half a unit in its last place off, and where it is above, one more send would begin within it.
    """
    return Fraction(str(number))


def add_up(steps: Sequence[tuple[float, float]]) -> float:
    """Return the seconds of steps together, `(rate, seconds)`, as somebody would who adds what was written."""
    return float(sum((as_written(seconds) for _, seconds in steps), Fraction(0)))


class Arrivals(Protocol):
    """A law of arrival."""

    def describe(self) -> str:
        """Return its name and parameters."""

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:
        """Return all sends within `duration_s` seconds."""

    def thin(self, workers: int) -> Arrivals | None:
        """Return the law of one of `workers` independent parts, None when the whole is dealt out in turn instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Equal gaps: request k at k / rate, rounded to a nanosecond each by itself, so that nothing adds up."""

    rate: float

    def describe(self) -> str:
        """Return its name and rate."""
        return f"constant {self.rate:g}/s"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:  # noqa: ARG002 - nothing is random
        """Return the sends; the first is at 0."""
        return _space_out(as_written(self.rate), as_written(duration_s))

    def thin(self, workers: int) -> None:  # noqa: ARG002
        """Dealt out in turn."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson:
    """Independent exponential gaps: many users who know nothing of one another."""

    rate: float

    def describe(self) -> str:
        """Return its name and rate."""
        return f"poisson {self.rate:g}/s"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:
        """Return the sends: a Poisson count, and that many places, uniform (Kingman, Poisson Processes, 2.4)."""
        count = int(rng.poisson(self.rate * duration_s))
        return np.sort(rng.integers(0, int(duration_s * SECOND_NS), count, dtype=np.int64))

    def thin(self, workers: int) -> Poisson:
        """Return a Poisson process of a share of the rate: independent ones add up to one of the whole rate."""
        return Poisson(rate=self.rate / workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma:
    """Gamma-distributed gaps of mean 1 / rate and shape `shape`: 1 is Poisson, below 1 comes in bursts.

    A shape out of `MIN_SHAPE` to `MAX_SHAPE` may be drawn for ever: gaps that are all rounded to nothing reach no end.
    """

    rate: float
    shape: float

    def describe(self) -> str:
        """Return its name, rate and shape."""
        return f"gamma {self.rate:g}/s shape {self.shape:g}"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:
        """Return the sends. Raises UsageError when they are too many."""
        end_s, now_s, drawn = duration_s, 0.0, 0
        parts: list[npt.NDArray[np.float64]] = []
        while now_s < end_s:
            count = int((end_s - now_s) * self.rate * 1.1) + 64
            times = now_s + np.cumsum(rng.gamma(self.shape, 1.0 / (self.rate * self.shape), count))
            now_s = float(times[-1])
            parts.append(times[times < end_s])
            drawn += len(parts[-1])
            if drawn > MOST_DRAWN:
                raise UsageError(f"{self.describe()} for {duration_s:g} s are over {MOST_DRAWN:,} requests")
        return (np.concatenate(parts) * SECOND_NS).astype(np.int64)

    def thin(self, workers: int) -> None:  # noqa: ARG002
        """Dealt out in turn: gamma processes do not add up to one."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """One rate after another, `(rate, seconds)`, each with equal gaps or, when `poisson`, with exponential ones."""

    steps: tuple[tuple[float, float], ...]
    poisson: bool = False

    def describe(self) -> str:
        """Return its name and steps."""
        listed = ", ".join(f"{rate:g}/s for {seconds:g} s" for rate, seconds in self.steps)
        return f"steps {'poisson ' if self.poisson else ''}{listed}"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:
        """Return the sends of the steps, as far as they are within the duration; the last step goes on to its end."""
        parts: list[Offsets] = []
        begin_s, end_s = Fraction(0), as_written(duration_s)
        for index, (rate, seconds) in enumerate(self.steps):
            last = index == len(self.steps) - 1
            length_s = end_s - begin_s if last else min(as_written(seconds), end_s - begin_s)
            if length_s <= 0:
                break
            part = (
                Poisson(rate=rate).draw(float(length_s), rng)
                if self.poisson
                else _space_out(as_written(rate), length_s)
            )
            parts.append(part + int(begin_s * SECOND_NS))
            begin_s += length_s
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def thin(self, workers: int) -> Steps | None:
        """Return the same steps at a share of the rates when they are Poisson."""
        if not self.poisson:
            return None
        return Steps(steps=tuple((rate / workers, seconds) for rate, seconds in self.steps), poisson=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A rate that goes evenly from one to another over the duration, with equal steps of the expected count."""

    first: float
    last: float

    def describe(self) -> str:
        """Return its name and rates."""
        return f"ramp {self.first:g}/s to {self.last:g}/s"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:  # noqa: ARG002
        """Return where the expected count, first t + (last - first) t^2 / (2 duration), reaches 0, 1, 2, …"""
        total = (self.first + self.last) / 2 * duration_s
        counts = np.arange(int(np.ceil(total - 1e-9)), dtype=np.float64)
        slope = (self.last - self.first) / duration_s
        # The root of slope/2 t^2 + first t = count in the form that does not cancel when the slope is small.
        times = 2 * counts / (self.first + np.sqrt(np.maximum(self.first**2 + 2 * slope * counts, 0.0)) + 1e-300)
        times[:1] = 0.0
        return (times * SECOND_NS).astype(np.int64)

    def thin(self, workers: int) -> None:  # noqa: ARG002
        """Dealt out in turn."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Recorded times."""

    offsets_s: tuple[float, ...]
    origin: str

    def describe(self) -> str:
        """Return where it came from."""
        return f"trace {self.origin}"

    def draw(self, duration_s: float, rng: np.random.Generator) -> Offsets:  # noqa: ARG002
        """Return the recorded times within the duration."""
        offsets = np.sort((np.array(self.offsets_s) * SECOND_NS).astype(np.int64))
        return offsets[offsets < int(duration_s * SECOND_NS)]

    def thin(self, workers: int) -> None:  # noqa: ARG002
        """Dealt out in turn."""
        return


def _space_out(rate: Fraction, duration_s: Fraction) -> Offsets:
    """Return equal gaps: all k / rate that are below the duration, each rounded down to a nanosecond."""
    count = math.ceil(duration_s * rate)
    # Integers as large as they must be: k * 1e9 * denominator does not fit 64 bits at odd rates.
    step, divisor = SECOND_NS * rate.denominator, rate.numerator
    if step * count < 1 << 62:
        return np.arange(count, dtype=np.int64) * step // divisor
    return np.fromiter((k * step // divisor for k in range(count)), np.int64, count)
