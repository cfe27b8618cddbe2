"""Order statistics of more values than are held at once, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.int64]
"""Shape (values,), each below 2**63 - 1."""

MOST_HELD: Final = 1 << 20
"""Values at a time: 8 MB of them."""
# Prime, so that a sample does not follow the turn in which cases are asked.
_STRIDE: Final = 1009


class Selection:
    """Finds the n-th smallest of values that are read a block at a time, as often as that takes.

    While the buckets that the wanted places lie in hold too many values, each 1,009th of these becomes an edge, and another pass
    counts what each bucket holds; a last one gathers the values of the buckets that are wanted (Munro and Paterson, Selection and
    sorting with limited storage, Theoretical Computer Science 12, 1980). Beside each edge stands its successor, so that the edge
    has a bucket of its own: equal values need not be gathered, however many there are.

    Args:
        read: returns the same values, in blocks, each time it is called.
        most_held: how many may be held.

    Attributes:
        count: how many values there are.
    """

    def __init__(self, read: Callable[[], Iterator[Values]], most_held: int = MOST_HELD) -> None:
        self._read = read
        self._most_held = most_held
        # Bucket i holds what is at least edge i - 1 and below edge i.
        self._edges: Values = np.empty(0, np.int64)
        self._counts: Values = np.zeros(1, np.int64)
        samples = []
        for block in read():
            self._counts += len(block)
            samples.append(block[::_STRIDE].copy())
        self.count = int(self._counts[0])
        if self.count > most_held:
            self._split(samples)

    def select(self, places: Sequence[int]) -> list[int]:
        """Return the values at these places of the ascending order, from 0, each below `count`."""
        wanted = np.array(places, np.int64)
        while self._counts[mixed := self._list_mixed(wanted)].sum() > self._most_held:
            self._split([block[::_STRIDE].copy() for block in self._read_members(mixed)])
        buckets = self._find_buckets(wanted)
        is_mixed = np.isin(buckets, mixed)
        found = np.empty_like(wanted)
        found[~is_mixed] = self._edges[buckets[~is_mixed] - 1]
        if len(mixed):
            among = (wanted - self._count_passed(mixed)[buckets])[is_mixed]
            members = self._hold(mixed)
            members.partition(np.unique(among))
            found[is_mixed] = members[among]
        return [int(each) for each in found]

    def _find_buckets(self, places: Values) -> Values:
        return np.searchsorted(np.cumsum(self._counts), places, side="right")

    def _list_mixed(self, places: Values) -> Values:
        """Return the buckets in which places lie and that may hold more than one value."""
        buckets = np.unique(self._find_buckets(places))
        inner = (buckets > 0) & (buckets < len(self._edges))
        is_single = np.zeros(len(buckets), np.bool_)
        is_single[inner] = np.diff(self._edges)[buckets[inner] - 1] == 1
        return buckets[~is_single]

    def _count_passed(self, held: Values) -> Values:
        """Return how many values stand before each bucket that are not in buckets that are held."""
        passed = self._counts.copy()
        passed[held] = 0
        return np.cumsum(passed) - passed

    def _split(self, samples: list[Values]) -> None:
        sample = np.concatenate(samples)
        self._edges = np.unique(np.concatenate([self._edges, sample, sample + 1]))
        below = np.zeros(len(self._edges), np.int64)
        for block in self._read():
            # To look edges up in a sorted block takes a fraction of the time that the opposite takes.
            below += np.searchsorted(np.sort(block), self._edges)
        self._counts = np.diff(below, prepend=0, append=self.count)

    def _hold(self, buckets: Values) -> Values:
        members = np.empty(int(self._counts[buckets].sum()), np.int64)
        filled = 0
        for block in self._read_members(buckets):
            members[filled : filled + len(block)] = block
            filled += len(block)
        return members

    def _read_members(self, buckets: Values) -> Iterator[Values]:
        if not len(self._edges):
            yield from self._read()
            return
        lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        edges = np.concatenate([[lowest], self._edges, [highest]])
        # Ranges are looked up by their two ends: what is at an odd place lies within one.
        ends = np.stack([edges[buckets], edges[buckets + 1]], axis=1).ravel()
        for block in self._read():
            yield block[np.searchsorted(ends, block, side="right") % 2 == 1]
