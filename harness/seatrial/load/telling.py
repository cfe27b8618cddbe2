"""Where a run stands, in words."""

from __future__ import annotations

from typing import Final

from seatrial.load.live import Snapshot

_MINUTE_S: Final = 60


def describe_snapshot(snapshot: Snapshot) -> str:
    """Return phase and figures, for a line."""
    return ", ".join([describe_phase(snapshot), *describe_figures(snapshot)])


def describe_phase(snapshot: Snapshot) -> str:
    """Return the phase in words, with how much of it is left."""
    if snapshot.phase == "warm-up":
        return f"warming up, {snapshot.note}" if snapshot.note else "warming up"
    if snapshot.phase == "window":
        return describe_left(snapshot)
    return "waiting for what is pending" if snapshot.in_flight else "done"


def describe_left(snapshot: Snapshot) -> str:
    """Return how long it is to the end of the window; of a warm-up that may end early, at most."""
    minutes, seconds = divmod(round(snapshot.left_s), _MINUTE_S)
    at_most = "at most " if snapshot.phase == "warm-up" and snapshot.note else ""
    return f"{at_most}{minutes} min {seconds} s left" if minutes else f"{at_most}{seconds} s left"


def describe_figures(snapshot: Snapshot) -> list[str]:
    """Return rate, times, errors and counts, as far as there are any.

    After the window counts alone: the last word on a run must not be figures that its result withholds when it is invalid.
    """
    counts = [describe_errors(snapshot), f"{snapshot.sent:,} sent", f"{snapshot.in_flight:,} in flight"]
    if snapshot.rate is None or snapshot.phase == "drain":
        return counts
    return [f"{snapshot.rate:,.1f}/s", f"p50 {_show_ms(snapshot.p50_s)}", f"p99 {_show_ms(snapshot.p99_s)}", *counts]


def describe_errors(snapshot: Snapshot) -> str:
    """Return how many requests failed."""
    return f"{snapshot.failed:,} error{'' if snapshot.failed == 1 else 's'}"


def _show_ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.{2 if milliseconds < 10 else 1 if milliseconds < 1000 else 0}f} ms"
