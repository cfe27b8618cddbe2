"""A load run on a terminal: a bar of the phase and the figures so far, in a place of their own at its foot."""

from __future__ import annotations

from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seatrial.cli.putting_off import interrupts_put_off
from seatrial.load.live import Snapshot
from seatrial.load.telling import describe_errors, describe_figures, describe_left

_WIDEST: Final = 100
_SPARE: Final = 4
"""Columns that stay free: what the terminal echoes, as ^C, must not begin a line that nobody knows of."""


class Bar:
    """Keeps a few lines at the foot of a terminal, and leaves no trace of them. Draws when it is told something, never else.

    What is half written when an interrupt comes nobody can wipe out, so it waits until all is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, force_terminal=True, highlight=False, emoji=False, markup=False)
        self._live: Live | None = None

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        with interrupts_put_off():
            self._console.print(line, soft_wrap=True)

    def show(self, snapshot: Snapshot, title: str = "") -> None:
        """Draw it anew."""
        with interrupts_put_off():
            live = self._live or self._begin()
            live.update(draw(snapshot, title, self._console.width - _SPARE), refresh=True)

    def clear(self) -> None:
        """Wipe the bar out."""
        with interrupts_put_off():
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def _begin(self) -> Live:
        self._live = live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        live.start()
        # Whatever ends this process, even by kill -9, leaves a terminal that can be typed in.
        self._console.show_cursor()
        return live


def draw(snapshot: Snapshot, title: str, width: int) -> RenderableType:
    """Return the bar of the present phase, the figures so far, and the note where there is one, each on one line."""
    bar = Table.grid(padding=(0, 1), expand=True)
    for ratio in (None, 1, None, None):
        bar.add_column(no_wrap=True, ratio=ratio)
    name = Text(f"{title} {snapshot.phase}".strip(), style="bold")
    full = ProgressBar(total=1.0, completed=snapshot.share, complete_style="cyan", finished_style="cyan")
    bar.add_row(name, full, f"{snapshot.share:4.0%}", describe_left(snapshot))
    figures = Text("   ".join(describe_figures(snapshot)), no_wrap=True, overflow="ellipsis")
    if snapshot.failed:
        figures.highlight_words([describe_errors(snapshot)], style="bold red")
    note = Text(snapshot.note, style="dim", no_wrap=True, overflow="ellipsis")
    shown: list[RenderableType] = [bar, figures]
    if snapshot.note and snapshot.phase == "warm-up":
        shown.append(note)
    return Constrain(Group(*shown), max(min(width, _WIDEST), 1))
