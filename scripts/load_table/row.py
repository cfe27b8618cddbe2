"""What a row of the table is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `met` is None when it was not measured, and `reached` says why."""

    what: str
    must: str
    reached: str
    met: bool | None
    figures: dict[str, float | None] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thoroughly to measure. `repeats`: runs of which the median counts."""

    quick: bool
    repeats: int
    log: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Say how far it is; what went wrong on the way stays in the log."""
        sys.stderr.write(f"  {line}\n")
        self.log.append(line)

    def choose(self, full: float, quick: float) -> float:
        """Return the one or the other."""
        return quick if self.quick else full


Row = Callable[[Options], Iterator[Reading]]


def render(row: str, reading: Reading) -> str:
    """Return the reading as text."""
    verdict = {True: "met", False: "NOT MET", None: "not measured"}[reading.met]
    return f"{row}: {reading.what}\n    must reach  {reading.must}\n    reached     {reading.reached}\n    {verdict}\n"
