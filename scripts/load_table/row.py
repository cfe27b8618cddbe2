"""What a row of the table is made of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import psutil

BUSY_PERCENT = 5.0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `met` is None when it was not measured, and `reached` says why.

    `bound` tells it from other lines of its row, where one of them alone may be known as a miss. `is_remark`: there is nothing
    that it must reach, so that it is neither met nor missed.
    """

    what: str
    must: str
    reached: str
    met: bool | None
    bound: str = ""
    figures: dict[str, float | None] = {}
    is_remark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thoroughly to measure.

    Args:
        quick: short runs.
        repeats: runs of which the median counts.
        patience_s: how long to wait, before each run, for a machine on which nothing else runs.
        log: what was said on the way.
    """

    quick: bool
    repeats: int
    patience_s: float = 0.0
    log: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Say how far it is; what went wrong on the way stays in the log."""
        sys.stderr.write(f"  {line}\n")
        self.log.append(line)

    def wait_quiet(self) -> None:
        """Return when the machine was idle for a second, or patience is over."""
        deadline_s = time.monotonic() + self.patience_s
        while time.monotonic() < deadline_s and psutil.cpu_percent(interval=1.0) > BUSY_PERCENT:
            pass

    def choose(self, full: float, quick: float) -> float:
        """Return the one or the other."""
        return quick if self.quick else full


Row = Callable[[Options], Iterator[Reading]]


def name_bound(row: str, reading: Reading) -> str:
    """Return what a line is called by who knows it as a miss."""
    return f"{row}/{reading.bound}" if reading.bound else row


def render(row: str, reading: Reading, *, known: bool = False) -> str:
    """Return the reading as text; one that is known as a miss may be met all the same, and that is told."""
    if reading.is_remark:
        return f"{row}: {reading.what}\n    a remark    {reading.reached}\n"
    verdicts = {True: "met", False: "NOT MET", None: "not measured"}
    if known:
        verdicts |= {True: "met, though known as a miss", False: "missed (known)"}
    verdict = verdicts[reading.met]
    return f"{row}: {reading.what}\n    must reach  {reading.must}\n    reached     {reading.reached}\n    {verdict}\n"
