"""Times in an order, for figures that need to know which of them are neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from seatrial.load.selection import Selection, Values


class Series(Protocol):
    """Integers in an order, which need not be held to be told of."""

    @property
    def count(self) -> int:
        """How many there are."""

    def select(self, places: Sequence[int]) -> list[int]:
        """Return the values at these places of the ascending order, from 0."""

    def read(self) -> Iterator[Values]:
        """Return all of them in blocks, in any order, the same one each time."""

    def number(self, length: int) -> Iterator[tuple[Values, Values]]:
        """Return all of them in blocks, and beside each the stretch of so many neighbours that it is in, from 0."""


class HeldSeries:
    """An array in its own order."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._selection = Selection(self.read)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._values)

    def select(self, places: Sequence[int]) -> list[int]:
        """Return the values at these places of the ascending order, from 0."""
        return self._selection.select(places)

    def read(self) -> Iterator[Values]:
        """Return all of them, in one block."""
        yield self._values

    def number(self, length: int) -> Iterator[tuple[Values, Values]]:
        """Return all of them in one block, and beside each the stretch of so many neighbours that it is in, from 0."""
        yield self._values, np.arange(len(self._values)) // length


def as_series(values: Values | Series) -> Series:
    """Return an array as the series that it is."""
    return HeldSeries(values) if isinstance(values, np.ndarray) else values
