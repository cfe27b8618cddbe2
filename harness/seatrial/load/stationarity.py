"""Whether response times are level, by a test: at the end of a warm-up, not after a fixed time, and over a window afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seatrial.load.quantiles import Times

BATCH: Final = 5
MOST_BATCHES: Final = 1000
GROUPS: Final = 12
BEGINNINGS: Final = 4
LEVEL: Final = 0.05
"""A change that is as good as none."""
BOUNDED: Final = 0.1
"""A change that may hide in what times vary by, when it is known to be no larger."""
# Student's t with 10 degrees of freedom: at 80 %, so that a change is seen soon, and at 90 %, so that none is overlooked.
_VISIBLE = 1.4
_EXCLUDED = 1.8
# At 99 %: of a run that is over nothing is gained by seeing a change soon.
_SURE = 3.2
# Of a beginning that is chosen where it differs most.
_SURE_OF_CHOSEN = 5.0
# Of all requests: fewer have no part in a p99.
_SMALLEST_BEGINNING = 0.01

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpLimits:
    """How long a warm-up takes at least and at most.

    Args:
        minimum_s: before it nothing is level; a change that comes later than this cannot be foreseen.
        maximum_s: after it the run goes on, level or not.
        fewest: requests in the stretch that is level.
        patience_s: a stretch so long is level when no change is visible, though times vary too much to exclude one.
    """

    minimum_s: float = 5.0
    maximum_s: float = 60.0
    fewest: int = 100
    patience_s: float = 10.0


BRIEF_WARM_UP: Final = WarmUpLimits(maximum_s=20.0)
"""Of a run that is one of many."""


class WarmUpVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a warm-up has come to."""

    over: Annotated[bool, Meta(description="the timed window can begin: it is level, or took its longest time")]
    stationary: Annotated[
        bool | None, Meta(description="response times are level; null when too little was seen to tell")
    ]
    since_s: Annotated[float | None, Meta(description="from when on, seconds after the first send")] = None
    elapsed_s: float
    requests: Annotated[int, Meta(description="that had ended")]
    message: str


def judge_warm_up(
    ends_ns: Times, took_ns: Times, *, elapsed_s: float, limits: WarmUpLimits | None = None
) -> WarmUpVerdict:
    """Return whether response times are level, and since when; to be asked about once a second.

    A beginning is cut off where that makes the mean of the rest surest, in the first half, or there is none yet (MSER-5: White,
    An effective truncation heuristic for bias reduction in simulation output, Simulation 69, 1997; White, Cobb and Spratt, A
    comparison of five steady-state truncation heuristics for simulation, Winter Simulation Conference 2000). A line is fitted
    to the means of twelve equal groups of what is left, which are nearly independent where single times are not (Kelton and
    Law, A new approach for dealing with the startup problem in discrete event simulation, Naval Research Logistics Quarterly
    30, 1983). It is level when the line's change, over as many requests as there were in all, is not visible or at most 5 %,
    and either surely at most 10 % or not visible for `patience_s`. Later beginnings, up to the half, are tried too: MSER leaves
    the end of a slow decay in. Changes are of logarithms, so of the geometric mean: a few very long times do not drown them.

    Args:
        ends_ns: when requests ended, however they did, nanoseconds after the first send, shape (requests,), in any order. Not
            when they were sent: of those sent last, only the quick ones have ended.
        took_ns: what each took, nanoseconds, shape (requests,).
        elapsed_s: seconds since the first send.
        limits: how long it may take.
    """
    limits = limits or WarmUpLimits()
    order = np.argsort(ends_ns, kind="stable")
    series = _Series(ends_ns=ends_ns[order], took_ns=took_ns[order], elapsed_s=elapsed_s)
    stretches = list(series.list_stretches()) if _is_enough(series, limits) else []
    level = next((each for each in stretches if series.is_level(each, limits)), None)
    if level is not None:
        since_s = series.since_s(level)
        return WarmUpVerdict(
            over=True,
            stationary=True,
            since_s=since_s,
            elapsed_s=elapsed_s,
            requests=len(took_ns),
            message=series.describe_level(level),
        )
    over = elapsed_s >= limits.maximum_s
    found = series.describe_change(stretches[-1], limits) if stretches else series.describe_want(limits)
    message = f"never became stationary in {elapsed_s:.1f} s: {found}" if over else f"not stationary yet: {found}"
    known = False if stretches else None
    return WarmUpVerdict(over=over, stationary=known, elapsed_s=elapsed_s, requests=len(took_ns), message=message)


class WindowVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the response times of a whole window have come to."""

    stationary: Annotated[bool | None, Meta(description="they were level; null when that cannot be told")]
    message: str


def judge_window(ends_ns: Times, took_ns: Times, *, elapsed_s: float) -> WindowVerdict:
    """Return whether response times were level over a window that is over.

    The same line as in a warm-up, over all requests, and the same beginning that is cut off. This is looked at once, and what
    comes of it is a remark on a result, so a change counts when it is over 5 % and visible at 99 %: the line's, or that between
    the beginning, when it has 1 % of all requests or more, and the rest. Of 200 level windows of 30 s at 300 requests a second
    0 to 4 were taken for changing, by the laws of scripts/measure_warm_up.py.

    Args:
        ends_ns: when requests ended, nanoseconds after the window began, shape (requests,), in any order.
        took_ns: what each took, nanoseconds, shape (requests,).
        elapsed_s: seconds of the window.
    """
    limits = WarmUpLimits()
    order = np.argsort(ends_ns, kind="stable")
    series = _Series(ends_ns=ends_ns[order], took_ns=took_ns[order], elapsed_s=elapsed_s)
    if not _is_enough(series, limits):
        return WindowVerdict(stationary=None, message=series.describe_want(limits))
    whole, *later = series.list_stretches()
    if abs(whole.change) > max(LEVEL, _SURE * whole.error) or (later and series.is_beginning_apart(later[0])):
        level = next((each for each in later if series.is_level(each, limits)), None)
        found = (
            series.describe_change((later or [whole])[-1], limits) if level is None else series.describe_level(level)
        )
        return WindowVerdict(stationary=False, message=found)
    if whole.is_bounded or elapsed_s >= limits.patience_s:
        return WindowVerdict(stationary=True, message=series.describe_level(whole))
    return WindowVerdict(stationary=None, message=series.describe_change(whole, limits))


def _is_enough(series: _Series, limits: WarmUpLimits) -> bool:
    return series.elapsed_s >= limits.minimum_s and len(series.took_ns) >= max(limits.fewest, GROUPS * BATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """The requests from one on, and how the logarithm of their times changes over as many requests as there were in all."""

    begin: int
    part: float
    """Of all requests."""
    change: float
    error: float

    @property
    def is_moving(self) -> bool:
        return abs(self.change) > max(LEVEL, _VISIBLE * self.error)

    @property
    def is_bounded(self) -> bool:
        return abs(self.change) + _EXCLUDED * self.error <= BOUNDED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """Times in the order in which requests ended."""

    ends_ns: Times
    took_ns: Times
    elapsed_s: float

    def list_stretches(self) -> Iterator[_Stretch]:
        """Return all requests, then those after the beginning that MSER cuts off and after later ones, up to the half."""
        logs = np.log(np.maximum(self.took_ns, 1))
        yield _fit(logs, 0)
        first, half = _find_beginning(logs), len(logs) // 2
        if first <= half:
            for begin in np.unique(np.linspace(first, half, BEGINNINGS).astype(int)):
                yield _fit(logs, int(begin))

    def is_level(self, stretch: _Stretch, limits: WarmUpLimits) -> bool:
        if stretch.is_moving or len(self.took_ns) - stretch.begin < limits.fewest:
            return False
        return stretch.is_bounded or self.elapsed_s - self.since_s(stretch) >= limits.patience_s

    def is_beginning_apart(self, rest: _Stretch) -> bool:
        """Return whether what comes before a stretch differs from it by more than its own groups differ from one another."""
        if rest.begin < _SMALLEST_BEGINNING * len(self.took_ns):
            return False
        logs = np.log(np.maximum(self.took_ns, 1))
        size = (len(logs) - rest.begin) // GROUPS
        means = logs[len(logs) - size * GROUPS :].reshape(GROUPS, size).mean(axis=1)
        error = float(means.std(ddof=1)) * math.sqrt(size / rest.begin + 1 / GROUPS)
        return abs(float(logs[: rest.begin].mean() - means.mean())) > max(LEVEL, _SURE_OF_CHOSEN * error)

    def since_s(self, stretch: _Stretch) -> float:
        return int(self.ends_ns[stretch.begin]) / 1e9 if stretch.begin else 0.0

    def describe_level(self, stretch: _Stretch) -> str:
        since_s = self.since_s(stretch)
        level_ms = _find_median_ms(self.took_ns[stretch.begin :])
        if not stretch.begin:
            return f"level from the start, p50 {level_ms:.3g} ms over {self.elapsed_s:.1f} s"
        first_ms = _find_median_ms(self.took_ns[: max(stretch.begin // GROUPS, BATCH)])
        return f"p50 {_name_change(first_ms, level_ms)} ms, level since {since_s:.1f} s, for {self.elapsed_s - since_s:.1f} s"

    def describe_change(self, stretch: _Stretch, limits: WarmUpLimits) -> str:
        rest_s = self.elapsed_s - self.since_s(stretch)
        size = len(self.took_ns) // GROUPS
        moved = _name_change(_find_median_ms(self.took_ns[:size]), _find_median_ms(self.took_ns[-size:]))
        if stretch.is_moving:
            return f"p50 {moved} ms, and in the last {rest_s:.1f} s it still changes, by {_show(stretch.change * stretch.part)}"
        rest = len(self.took_ns) - stretch.begin
        if rest < limits.fewest:
            return f"p50 {moved} ms, and {rest} requests since are too few, at least {limits.fewest} are needed"
        hidden = (abs(stretch.change) + _EXCLUDED * stretch.error) * stretch.part
        return (
            f"no change is visible for {rest_s:.1f} s, but times vary so that one of {_show(hidden)} could hide; "
            f"at most {_show(BOUNDED * stretch.part)}, or {limits.patience_s:g} s without one, are needed"
        )

    def describe_want(self, limits: WarmUpLimits) -> str:
        return (
            f"{len(self.took_ns)} requests ended in {self.elapsed_s:.1f} s, at least {limits.fewest} and "
            f"{limits.minimum_s:g} s are needed to tell"
        )


def _fit(logs: Floats, begin: int) -> _Stretch:
    """Fit a line to the means of groups by least squares."""
    rest = logs[begin:]
    size = len(rest) // GROUPS
    means = rest[len(rest) - size * GROUPS :].reshape(GROUPS, size).mean(axis=1)
    places = np.arange(GROUPS) - (GROUPS - 1) / 2
    slope = float(places @ means) / float(places @ places)
    residuals = means - means.mean() - slope * places
    error = math.sqrt(float(residuals @ residuals) / (GROUPS - 2) / float(places @ places))
    groups_in_all = GROUPS * len(logs) / len(rest)
    return _Stretch(begin=begin, part=len(rest) / len(logs), change=slope * groups_in_all, error=error * groups_in_all)


def _find_beginning(logs: Floats) -> int:
    """Return how many requests to cut off, so that the rest's variance over its number, that of its mean, is least."""
    size = max(BATCH, math.ceil(len(logs) / MOST_BATCHES))
    count = len(logs) // size
    skipped = len(logs) - count * size
    means = logs[skipped:].reshape(count, size).mean(axis=1)
    # From the end, and from the last value: sums of squares of equal values must not differ by what rounding does.
    backwards = means[::-1] - means[-1]
    numbers = np.arange(1, count + 1)
    centres = np.cumsum(backwards) / numbers
    variances = np.maximum(np.cumsum(backwards**2) / numbers - centres**2, 0.0)
    # The last few batches are equal by chance too often.
    errors = (variances / numbers)[::-1][: count - BATCH]
    return skipped + size * int(np.argmax(errors <= errors.min() + 1e-12))


def _find_median_ms(took_ns: Times) -> float:
    return float(np.median(took_ns)) / 1e6


def _name_change(before_ms: float, after_ms: float) -> str:
    return f"{'rose' if after_ms > before_ms else 'fell'} {before_ms:.3g} -> {after_ms:.3g}"


def _show(change: float) -> str:
    """Return a change of logarithms in words."""
    return f"{math.expm1(change):+.1%}" if abs(change) < 1 else f"a factor of {math.exp(change):.2g}"
