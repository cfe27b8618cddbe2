"""When a run has seen enough: looks at growing samples, and the confidence that its intervals must then be drawn with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from seatrial.load.objectives import Objectives
from seatrial.load.quantiles import FOREVER_NS, Times, find_interval, find_quantile, find_share_interval
from seatrial.load.ranking import TimesSoFar
from seatrial.load.result import Interval

FIRST_LOOK_S: Final = 2.0
GROWTH: Final = 1.5
"""Of one look over the one before."""
CONFIDENCE: Final = 0.95
DECISION_ERROR: Final = 0.01
"""Share of runs that may decide wrongly about an objective, all looks together."""
NARROW: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedQuantile:
    """A quantile that a run is to tell, and what it is asked to be at most."""

    p: float
    bound_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """What must be known before a run may stop.

    Args:
        quantiles: all of them.
        error_rate: what the share of failed requests is asked to be at most; it must be known on which side it is.
        narrow: half the length of an interval, as a share of the quantile, that is narrow enough.
    """

    quantiles: tuple[WatchedQuantile, ...]
    error_rate: float | None = None
    narrow: float = NARROW


class StopVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a run may stop."""

    why: Annotated[
        Literal["", "narrow", "decided", "limit"],
        Meta(description="empty: it goes on; decided: an objective's interval lies on one side of its bound"),
    ]
    confidence: Annotated[float, Meta(description="that the intervals of the run must be drawn with, to hold 95 %")]
    message: str

    @property
    def stop(self) -> bool:
        """Whether it stops."""
        return self.why != ""


def make_stop_rule(objectives: Objectives) -> StopRule:
    """Return the rule by which a run stops when it knows about each of the objectives."""
    bounds = objectives.bounds_ms.items()
    return StopRule(
        quantiles=tuple(WatchedQuantile(p=p, bound_ms=bound_ms) for p, bound_ms in bounds),
        error_rate=objectives.error_rate,
    )


def plan_looks(limit_s: float, first_s: float = FIRST_LOOK_S) -> tuple[float, ...]:
    """Return when to look, seconds into the window: each half as long again as the one before, the last at the limit."""
    looks = []
    next_s = first_s
    while next_s * GROWTH**0.5 < limit_s:
        looks.append(next_s)
        next_s *= GROWTH
    return (*looks, limit_s)


def judge_stop(
    times_in_order: Times, rule: StopRule, *, look: int, looks: int, most: Times | None = None
) -> StopVerdict:
    """Return whether a run may stop at a look.

    Each quantile must be known: its interval is **narrow**, or **decided**, on one side of its bound. A decision stops a run
    just when the samples happen to lie far off, so the interval that decides is drawn with an error of 1 % over all looks
    together (Bonferroni), and the run's intervals must be drawn with that confidence too. An interval that is narrow tells
    little of where it lies: rules that wait for that keep their coverage (Glynn and Whitt, The asymptotic validity of
    sequential stopping rules for stochastic simulations, Annals of Applied Probability 2, 1992).

    What becomes of a request that is pending nobody knows: it may be answered right in the next moment, or never. An interval
    begins where it would if all of them were, and ends where it would if none was.

    Args:
        times_in_order: response times of all requests that were due before a moment, of a pending one the least
            (`ranking.rank_so_far`).
        rule: what must be known.
        look: which of the looks this is, from 0.
        looks: how many there are, the one at the time limit included.
        most: the same, of a pending one the most; None where none is pending.
    """
    strict = 1 - DECISION_ERROR / looks
    so_far = TimesSoFar(least=times_in_order, most=times_in_order if most is None else most)
    found = [_judge_quantile(so_far, each, rule.narrow, strict) for each in rule.quantiles]
    if rule.error_rate is not None:
        found.append(_judge_errors(so_far, rule.error_rate, strict))
    message = "; ".join(text for _, text in found) or "nothing is watched"
    kinds = {kind for kind, _ in found}
    if found and "" not in kinds:
        if "decided" in kinds:
            return StopVerdict(why="decided", confidence=strict, message=message)
        return StopVerdict(why="narrow", confidence=CONFIDENCE, message=message)
    if look >= looks - 1:
        return StopVerdict(why="limit", confidence=CONFIDENCE, message=f"the time limit was reached: {message}")
    return StopVerdict(why="", confidence=CONFIDENCE, message=message)


def _judge_quantile(times: TimesSoFar, watched: WatchedQuantile, narrow: float, strict: float) -> tuple[str, str]:
    name = f"p{watched.p * 100:g}"
    bound_ms = watched.bound_ms
    sure = None if bound_ms is None else _enclose_quantile(times, watched.p, strict)
    if bound_ms is not None and sure is not None:
        low_ms, high_ms = sure.low * 1e3, sure.high * 1e3
        if high_ms <= bound_ms or low_ms > bound_ms:
            side = "at most" if high_ms <= bound_ms else "above"
            return "decided", f"{name} is {side} {bound_ms:g} ms: {_show(low_ms, high_ms)}, {strict:.2%} confidence"
    interval = _enclose_quantile(times, watched.p, CONFIDENCE)
    quantile = find_quantile(times.least, watched.p)
    if interval is None or not quantile:
        return "", f"{name} is not known yet: {len(times.least)} requests are too few"
    half = (interval.high - interval.low) * 1e9 / 2 / quantile
    shown = f"{name} is {_show(interval.low * 1e3, interval.high * 1e3)}, {CONFIDENCE:.0%} confidence"
    if half <= narrow and interval.high * 1e9 < FOREVER_NS:
        return "narrow", f"{shown}: within {half:.1%}, {narrow:.0%} is narrow enough"
    return "", shown


def _enclose_quantile(times: TimesSoFar, p: float, confidence: float) -> Interval | None:
    """Return an interval of a quantile that holds it whatever becomes of what is pending; None when there are too few."""
    least, most = (find_interval(each, p, confidence) for each in (times.least, times.most))
    return Interval(low=least.low, high=most.high, confidence=confidence) if least and most else None


def _judge_errors(times: TimesSoFar, bound: float, strict: float) -> tuple[str, str]:
    least, most = (find_share_interval(each >= FOREVER_NS, strict) for each in (times.least, times.most))
    if least is None or most is None:
        return "", f"the error rate is not known yet: {len(times.least)} requests are too few"
    low, high = least[0], most[1]
    shown = f"{low:.3%} to {high:.3%}, {strict:.2%} confidence"
    if high <= bound or low > bound:
        return "decided", f"the error rate is {'at most' if high <= bound else 'above'} {bound:.3%}: {shown}"
    return "", f"the error rate is {shown}"


def _show(low_ms: float, high_ms: float) -> str:
    most_ms = FOREVER_NS / 1e6
    if low_ms >= most_ms:
        return "longer than any answer took"
    return f"{low_ms:.3g} to {high_ms:.3g} ms" if high_ms < most_ms else f"{low_ms:.3g} ms or more"
