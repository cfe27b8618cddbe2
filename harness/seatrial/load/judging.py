"""A load result held against objectives."""

from __future__ import annotations

from typing import Final

import msgspec

from seatrial.load.objectives import QUANTILES, Objectives
from seatrial.load.quantiles import (
    FEWEST,
    FOREVER_NS,
    Times,
    count_above,
    find_interval,
    find_quantile,
    find_share_above,
)
from seatrial.load.result import Judgement, LoadResult, ObjectiveVerdict, Status
from seatrial.load.series import Series, as_series

RATE_ALLOWED: Final = 0.05
"""A schedule that is drawn has a little less or more than the rate that was asked for."""


def judge(result: LoadResult, ranked_ns: Times | Series, objectives: Objectives, confidence: float = 0.95) -> Judgement:
    """Return whether each objective was kept.

    What was found decides, as it stands; `sure` says whether its interval leaves any doubt. Nothing is decided by an invalid
    run, or by too few requests (unless a lower quantile is over the bound already), and nothing is met by a run under less load
    than the objectives ask for. Under a load that the server did not keep up with, times grow with the length of the run, so no
    bound of them is met.

    Args:
        result: of the run.
        ranked_ns: response times of all its requests in the order of the intended sends, failures as `FOREVER_NS`
            (`ranking.rank_requests`).
        objectives: what is asked.
        confidence: of the intervals; after an early stop that of its `StopVerdict`.
    """
    ranked = as_series(ranked_ns)
    verdicts = [
        _judge_quantile(ranked, name, p, objectives.bounds_ms[p], confidence)
        for name, p in QUANTILES.items()
        if p in objectives.bounds_ms
    ]
    if objectives.error_rate is not None:
        verdicts.append(_judge_errors(ranked, objectives.error_rate, confidence))
    if objectives.rate is not None:
        verdicts.append(_judge_rate(result, objectives.rate))
    verdicts = [_withdraw(each, result, objectives) for each in verdicts]
    statuses = {each.status for each in verdicts} or {"undecided"}
    status: Status = "missed" if "missed" in statuses else "undecided" if "undecided" in statuses else "met"
    message = "; ".join(each.message for each in verdicts) or "no objective was given"
    return Judgement(status=status, valid=result.valid, verdicts=tuple(verdicts), message=message)


def _judge_quantile(ranked: Series, name: str, p: float, bound_ms: float, confidence: float) -> ObjectiveVerdict:
    quantile = find_quantile(ranked, p)
    if quantile is None:
        return _judge_untold(ranked, name, p, bound_ms, confidence)
    shown = f"p{p * 100:g} of all {ranked.count} requests"
    failed = count_above(ranked, FOREVER_NS - 1)
    shown += f", {failed} failed," if failed else ""
    found_ms = quantile / 1e6 if quantile < FOREVER_NS else None
    met = found_ms is not None and found_ms <= bound_ms
    interval = find_interval(ranked, p, confidence)
    sure = interval is not None and (interval.high * 1e3 <= bound_ms if met else interval.low * 1e3 > bound_ms)
    what = "lies among the failures" if found_ms is None else f"is {found_ms:.4g} ms"
    doubt = "" if sure else ", but its interval is on both sides" if interval else ", but how surely is not known"
    return ObjectiveVerdict(
        name=name,
        bound=bound_ms,
        found=found_ms,
        status="met" if met else "missed",
        sure=sure,
        message=f"{shown} {what}, at most {bound_ms:g} ms was asked{doubt}",
    )


def _judge_untold(ranked: Series, name: str, p: float, bound_ms: float, confidence: float) -> ObjectiveVerdict:
    """Return the verdict where there are too few requests for a quantile: a lower one over its bound decides it all the same."""
    message = f"p{p * 100:g} of all {ranked.count} requests cannot be told, at least {FEWEST[p]} are needed"
    status: Status = "undecided"
    sure = False
    for lower in sorted((each for each in FEWEST if each < p), reverse=True):
        quantile = find_quantile(ranked, lower)
        if quantile is None or quantile / 1e6 <= bound_ms:
            continue
        what = "lies among the failures" if quantile >= FOREVER_NS else f"is {quantile / 1e6:.4g} ms"
        interval = find_interval(ranked, lower, confidence)
        status, sure = "missed", interval is not None and interval.low * 1e3 > bound_ms
        message += f", but p{lower * 100:g} {what} already, at most {bound_ms:g} ms was asked"
        break
    return ObjectiveVerdict(name=name, bound=bound_ms, found=None, status=status, sure=sure, message=message)


def _judge_errors(ranked: Series, bound: float, confidence: float) -> ObjectiveVerdict:
    count, failed = ranked.count, count_above(ranked, FOREVER_NS - 1)
    rate = failed / count if count else None
    interval = find_share_above(ranked, FOREVER_NS - 1, confidence)
    met = rate is not None and rate <= bound
    sure = interval is not None and (interval[1] <= bound if met else interval[0] > bound)
    return ObjectiveVerdict(
        name="error_rate",
        bound=bound,
        found=rate,
        status="undecided" if rate is None else "met" if met else "missed",
        sure=sure,
        message=f"{failed} of {count} requests failed{f' ({rate:.3%})' if rate else ''}, at most {bound:.4g} of them was asked"
        + ("" if sure else ", but so few requests leave it open"),
    )


def _judge_rate(result: LoadResult, bound: float) -> ObjectiveVerdict:
    """A schedule that the server kept up with was kept; where each user waits for an answer, it is what came of it."""
    scheduled = result.rate.scheduled
    found = result.rate.achieved if scheduled is None else scheduled
    status: Status = "undecided"
    if found is None:
        message = "how many requests a second were answered right is not known"
    elif scheduled is None:
        status = "met" if found >= bound else "missed"
        message = f"{found:.4g} requests a second were answered right, {bound:g} was asked"
    elif scheduled < bound * (1 - RATE_ALLOWED):
        message = f"{scheduled:.4g} requests a second were sent, {bound:g} was asked"
    else:
        status = "missed" if result.saturated else "met"
        message = (
            f"the server {'did not keep' if result.saturated else 'kept'} up with {scheduled:.4g} requests a second"
        )
    return ObjectiveVerdict(
        name="rate", bound=bound, found=found, status=status, sure=status != "undecided", message=message
    )


def _withdraw(verdict: ObjectiveVerdict, result: LoadResult, objectives: Objectives) -> ObjectiveVerdict:
    """Return a verdict as the whole run allows it."""
    if not result.valid:
        codes = ", ".join(reason.code for reason in result.reasons)
        return ObjectiveVerdict(
            name=verdict.name,
            bound=verdict.bound,
            found=None,
            status="undecided",
            sure=False,
            message=f"{verdict.name} is not known: the measurement is invalid ({codes})",
        )
    if verdict.status != "met" or verdict.name == "rate":
        return verdict
    if result.saturated and verdict.name in QUANTILES:
        message = f"{verdict.message}, but the server did not keep up, and times grow with the length of the run"
        return msgspec.structs.replace(verdict, status="missed", message=message)
    scheduled = result.rate.scheduled
    if objectives.rate is not None and scheduled is not None and scheduled < objectives.rate * (1 - RATE_ALLOWED):
        message = f"{verdict.message}, but at {scheduled:.4g} requests a second, not at {objectives.rate:g}"
        return msgspec.structs.replace(verdict, status="undecided", sure=False, message=message)
    return verdict
