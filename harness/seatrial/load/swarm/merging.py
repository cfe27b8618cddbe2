"""The result of several workers: counts and rates add up, quantiles come from merged histograms, reasons stand together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import msgspec

from seatrial.errors import ExitCode, choose_exit_code
from seatrial.load.analysis import INTERVALS, NO_FIGURES, withholds_rate
from seatrial.load.checking import MOST_EXAMPLES
from seatrial.load.result import TOLD_TO_END, Interval, Lag, LoadResult, Rate, Reason, says_interrupted
from seatrial.load.slices import Slices
from seatrial.load.swarm.messages import Order
from seatrial.load.tally import Tally

INTERRUPTED: Final = 130
"""Exit code of a run that was told to stop."""
WINDOWS_APART: Final = "windows-apart"
APART_S: Final = 0.5
"""Between the beginnings of two workers' windows, each counted from its own start: more is no window of all."""
_LARGEST = frozenset({"loop_lag_p50_s", "loop_lag_max_s", "steal_share", "steal_worst_share", "runnable_p50"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one worker measured."""

    name: str
    result: LoadResult
    tally: Tally
    slices: Slices


def merge_parts(order: Order, parts: Sequence[Part], *, lost: Sequence[Reason] = ()) -> LoadResult:
    """Return the result of the workers together: valid when each of theirs is, and none was lost.

    Intervals need the order of the samples: one worker's stand, those of several come from slices of the same time.

    Args:
        order: of all workers.
        parts: of the workers that came to their end.
        lost: why the others did not.
    """
    results = [part.result for part in parts]
    flaws = (*lost, *_find_apart(results))
    valid = not flaws and all(result.valid for result in results)
    tally = Tally()
    for part in parts:
        tally.merge(part.tally)
    series = tally.series
    figures = {name: histogram.summarize() if valid else NO_FIGURES for name, histogram in series.items()}
    lag = series["lag"].summarize()
    warm, warm_up = _unite_warm_ups(parts)
    level, course = _unite_courses(parts) if valid else (None, "")
    return LoadResult(
        mode=order.plan.mode,
        arrivals=order.arrivals,
        seed=order.seed,
        valid=valid,
        saturated=valid and any(result.saturated for result in results),
        reasons=(*flaws, *_unite_reasons(parts, valid=valid, stopped=bool(lost))),
        cut=order.cut,
        requests=sum(result.requests for result in results),
        errors=sum(result.errors for result in results),
        wrong=sum(result.wrong for result in results),
        censored=sum(result.censored for result in results),
        rate=Rate(
            requested=order.requested,
            scheduled=None if order.law is None else sum(result.rate.scheduled or 0.0 for result in results),
            achieved=None
            if withholds_rate(order.plan.mode, valid=valid)
            else sum(result.rate.achieved or 0.0 for result in results),
        ),
        response_time_s=figures["response"],
        service_time_s=figures["service"],
        failure_time_s=figures["failure"],
        dispatch_lag_s=Lag(p50=lag.p50, p99=lag.p99, max=lag.max),
        duration_s=max((result.duration_s for result in results), default=0.0),
        intervals=_find_intervals(parts) if valid else {},
        outcomes=_add(result.outcomes for result in results),
        statuses=_add(result.statuses for result in results),
        connections_opened=sum(result.connections_opened for result in results),
        connect_time_s=figures["connect"] if valid and series["connect"].count else None,
        checked=bool(results) and all(result.checked for result in results),
        mixed_up=sum(result.mixed_up for result in results),
        examples=tuple(dict.fromkeys(each for result in results for each in result.examples))[:MOST_EXAMPLES],
        warm_up_s=max((result.warm_up_s for result in results), default=0.0),
        stationary=warm,
        warm_up=warm_up,
        window_stationary=level,
        window_course=course,
        client=_unite_clients(results),
        started_at=order.started_at,
    )


def _find_intervals(parts: Sequence[Part]) -> dict[str, Interval]:
    if len(parts) == 1:
        return parts[0].result.intervals
    slices = reduce(Slices.merge, (part.slices for part in parts), Slices.none())
    found = {name: slices.find_interval(p) for name, p in INTERVALS.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _find_apart(results: Sequence[LoadResult]) -> tuple[Reason, ...]:
    """Return the reason why windows of workers were not one; none where they were, or where workers were stopped."""
    if any(reason.code in {TOLD_TO_END, "stopped"} for result in results for reason in result.reasons):
        return ()
    lengths_s = [result.warm_up_s for result in results]
    if not lengths_s or max(lengths_s) - min(lengths_s) <= APART_S:
        return ()
    message = f"the timed windows of the workers began {max(lengths_s) - min(lengths_s):.1f} s apart"
    fix = "leave the workers' machines, and the network between them and the master, less busy; or give the warm-up in seconds"
    return (Reason(code=WINDOWS_APART, message=message, fix=fix),)


def _unite_warm_ups(parts: Sequence[Part]) -> tuple[bool | None, str]:
    """Return whether response times were level before the window on all workers, None when nobody looked, and what was found."""
    told = [part.result.stationary for part in parts]
    if not all(part.result.warm_up for part in parts):
        return None, ""
    if len(parts) == 1:
        return told[0], parts[0].result.warm_up
    level = False if False in told else None if None in told else bool(told) or None
    return level, "; ".join(f"{part.name}: {part.result.warm_up}" for part in parts)


def _unite_courses(parts: Sequence[Part]) -> tuple[bool | None, str]:
    """Return whether response times were level on all workers, None when one cannot tell, and what was found where not."""
    told = [part.result.window_stationary for part in parts]
    courses = [f"{part.name}: {part.result.window_course}" for part in parts if part.result.window_stationary is False]
    if not told or (None in told and not courses):
        return None, ""
    return not courses, "; ".join(courses)


def choose_code(result: LoadResult) -> int:
    """Return the exit code, as `seatrial load` gives it: 0 measured, 1 nothing succeeded, 7 invalid, 130 interrupted."""
    if says_interrupted(result.reasons):
        return INTERRUPTED
    causes = [] if result.valid else [ExitCode.MEASUREMENT_INVALID]
    if result.requests and not result.outcomes.get("answered"):
        causes.append(ExitCode.CHECK_FAILED)
    return int(choose_exit_code(causes))


def _unite_reasons(parts: Sequence[Part], *, valid: bool, stopped: bool) -> list[Reason]:
    """Return the reasons under the workers' names.

    That the server was saturated says nothing where the run is no measurement, nor that workers were told to stop because another
    was lost.
    """
    return [
        reason if len(parts) == 1 else msgspec.structs.replace(reason, message=f"{part.name}: {reason.message}")
        for part in parts
        for reason in part.result.reasons
        if (valid or not part.result.saturated) and not (stopped and reason.code == TOLD_TO_END)
    ]


def _unite_clients(results: Sequence[LoadResult]) -> dict[str, float]:
    names = dict.fromkeys(name for result in results for name in result.client)
    values = {name: [result.client[name] for result in results if name in result.client] for name in names}
    return {name: max(each) if name in _LARGEST else sum(each) for name, each in values.items()}


def _add(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
