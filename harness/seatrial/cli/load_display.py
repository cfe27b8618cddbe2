"""How far a load run is, for whoever watches: a bar on a terminal, plain lines elsewhere, nothing where it is to be quiet.

The process that started the pacer draws it on standard error, and only when the pacer has told how far it is: once a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final, Protocol, TextIO

from seatrial.load.live import Snapshot
from seatrial.load.telling import describe_snapshot
from seatrial.settings import runs_in_ci

_DUMB: Final = frozenset({"", "dumb", "unknown"})


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
        self.say(f"{title and f'{title} '}[{snapshot.elapsed_s:6.1f} s] {describe_snapshot(snapshot)}")

    def clear(self) -> None:
        """Leave what was written."""
