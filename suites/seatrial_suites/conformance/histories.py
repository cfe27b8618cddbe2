"""What must hold of a history; each tells which of its requests break it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seatrial.history import History, HistoryRequest

_MOST_SHOWN = 5


def find_wrong(history: History) -> list[HistoryRequest]:
    """Answers that are not the golden one of their case, in any version: there must never be one."""
    return [each for each in history.requests if each.judgement in {"wrong", "of-another"}]


def find_failed(history: History) -> list[HistoryRequest]:
    """Requests without an answer, or of which nobody knows."""
    return [each for each in history.requests if each.outcome != "ok"]


def find_lost(history: History) -> list[HistoryRequest]:
    """Failed requests, but for those that went with a connection that was kept."""
    return [each for each in find_failed(history) if not _went_with_kept(each)]


def count_kept_lost(history: History) -> int:
    """How many requests went with a connection that was kept.

    A server may end an idle connection just as a client sends on it, and the client cannot know (RFC 9112, 9.5).
    """
    return sum(_went_with_kept(each) for each in find_failed(history))


def find_failed_outside(history: History, begin_s: float, end_s: float) -> list[HistoryRequest]:
    """Failed requests that had ended before a window, or began after it."""
    return [each for each in find_failed(history) if each.end_s < begin_s or each.invoke_s > end_s]


def find_dropped(history: History, stop_s: float) -> list[HistoryRequest]:
    """Requests that were sent before the stop, and not answered."""
    return [each for each in find_failed(history) if each.sent_s is not None and each.sent_s < stop_s]


def find_abandoned(history: History, stop_s: float) -> list[HistoryRequest]:
    """Requests that were sent after the stop, and neither answered, nor refused, nor closed before a byte of an answer."""
    late = [each for each in find_failed(history) if each.sent_s is None or each.sent_s >= stop_s]
    return [each for each in late if each.ending in {"cut-off", "timed-out"}]


def find_of_old(history: History, version: str, begin_s: float, end_s: float) -> list[HistoryRequest]:
    """Answers to what was asked in a stretch of time that are not that version's."""
    asked = [each for each in history.requests if begin_s < each.invoke_s < end_s]
    return [each for each in asked if each.judgement == "right" and version not in each.versions]


def count_in_flight(history: History, at_s: float) -> int:
    """How many requests had been sent at that time, and were not over."""
    return sum(each.sent_s is not None and each.sent_s < at_s < each.end_s for each in history.requests)


def measure_recovery(history: History, fault_s: float) -> float | None:
    """Return the seconds from a fault to the first answer from which on everything that was asked was answered.

    0 when nothing failed, None when such an answer never came.
    """
    failed = [each.invoke_s for each in find_failed(history) if each.end_s >= fault_s]
    if not failed:
        return 0.0
    after = [each.end_s for each in history.requests if each.invoke_s > max(failed) and each.outcome == "ok"]
    return min(after) - fault_s if after else None


def describe_requests(what: str, found: Sequence[HistoryRequest], history: History) -> str:
    """Return how many requests broke something, and the first of them against the marks; empty when there is none."""
    if not found:
        return ""
    head = f"{len(found)} of {len(history.requests)} requests {what}:"
    lines = [_describe(each) for each in found[:_MOST_SHOWN]]
    marks = ", ".join(f"{mark.name} at {mark.at_s:.3f} s" for mark in history.marks)
    return "\n".join([head, *lines, f"the marks: {marks}"])


def require_none(*findings: str) -> None:
    """Raise AssertionError with all that was found."""
    found = "\n".join(each for each in findings if each)
    assert not found, found


def _went_with_kept(each: HistoryRequest) -> bool:
    return each.connection == "kept" and each.ending == "closed"


def _describe(each: HistoryRequest) -> str:
    when = f"client {each.client}, asked {each.case} at {each.invoke_s:.3f} s"
    answered = f"{each.judgement}" + (f" (of {_join(each.versions)})" if each.versions else "")
    what = answered if each.judgement else each.ending
    return f"  {when}, {what} at {each.end_s:.3f} s" + (f": {each.said}" if each.said else "")


def _join(words: Iterable[str]) -> str:
    return ", ".join(words)
