"""How far a load run is, for whoever watches: a bar on a terminal, plain lines elsewhere, nothing where it is to be quiet.

The process that started the pacer draws it on standard error, and only when the pacer has told how far it is: once a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final, Protocol, TextIO

from seatrial.load.live import Snapshot
from seatrial.settings import runs_in_ci

_DUMB: Final = frozenset({"", "dumb", "unknown"})
_MINUTE_S: Final = 60


class Display(Protocol):
    """What a run is shown on."""

    def say(self, line: str) -> None:
        """Tell something that stays."""

    def show(self, snapshot: Snapshot, title: str = "") -> None:
        """Tell where a run stands, until the next word of it; `title` says which run of several."""

    def clear(self) -> None:
        """Take away what does not stay; what is shown after it begins anew."""


def open_display(stream: TextIO, environ: Mapping[str, str], *, quiet: bool) -> Display:
    """Return what suits a stream: plain lines for what is no terminal, or where TERM, CI or NO_COLOR ask for them."""
    if quiet:
        return NoDisplay()
    is_plain = environ.get("TERM", "") in _DUMB or runs_in_ci(environ) or bool(environ.get("NO_COLOR"))
    if is_plain or not stream.isatty():
        return Lines(stream)
    from seatrial.cli.load_bar import Bar

    return Bar(stream)


class NoDisplay:
    """Tells nothing."""

    def say(self, line: str) -> None:
        """Tell nothing."""

    def show(self, snapshot: Snapshot, title: str = "") -> None:
        """Tell nothing."""

    def clear(self) -> None:
        """Have nothing to take away."""


class Lines:
    """Tells everything in lines that stay."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, line: str) -> None:
        """Write a line; who no longer reads them does not end the run."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def show(self, snapshot: Snapshot, title: str = "") -> None:
        """Write it as a line."""
        parts = [describe_phase(snapshot), *describe_figures(snapshot)]
        self.say(f"{title and f'{title} '}[{snapshot.elapsed_s:6.1f} s] {', '.join(parts)}")

    def clear(self) -> None:
        """Leave what was written."""


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
    """Return rate, times, errors and counts, as far as there are any."""
    counts = [describe_errors(snapshot), f"{snapshot.sent:,} sent", f"{snapshot.in_flight:,} in flight"]
    if snapshot.rate is None:
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
