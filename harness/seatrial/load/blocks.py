"""Samples a block at a time, so that what is read of ten million records is not held at once."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.samples import SAMPLE, Samples
from seatrial.load.selection import Selection, Values

BLOCK: Final = 1 << 16

Choice = Callable[[Samples], npt.NDArray[np.bool_]]
Reading = Callable[[Samples], npt.NDArray[np.int64]]


def read_blocks(samples: Samples) -> Iterator[Samples]:
    """Return the records in their order, up to 65,536 at a time.

    A file that is mapped is read instead: pages of it that were touched would count as memory of this process.
    """
    # A part of a mapped array keeps the file's name and not its place in it, so only whole ones are read.
    base: object = samples.base
    path = getattr(samples, "filename", None) if isinstance(base, mmap.mmap) else None
    for begin in range(0, len(samples), BLOCK):
        count = min(BLOCK, len(samples) - begin)
        if path is not None:
            yield np.fromfile(path, SAMPLE, count, offset=begin * SAMPLE.itemsize)
        else:
            yield samples[begin : begin + count]


class SampleSeries:
    """What is read of chosen records, in the order of their intended sends, those due together in the order of the records.

    Records stand in the order in which requests ended. They are not sorted but read again, since of the order no more is ever
    asked than where stretches of it begin.

    Args:
        samples: all records.
        choose: which of a block belong to it.
        measure: what is read of each of a block, chosen or not, nanoseconds.
    """

    def __init__(self, samples: Samples, choose: Choice, measure: Reading) -> None:
        self._samples = samples
        self._choose = choose
        self._measure = measure

    @property
    def count(self) -> int:
        """How many there are."""
        return self._selection.count

    def select(self, places: Sequence[int]) -> list[int]:
        """Return the values at these places of the ascending order, from 0."""
        return self._selection.select(places)

    def read(self) -> Iterator[Values]:
        """Return all of them in blocks, in the order of the records."""
        for block in read_blocks(self._samples):
            yield self._measure(block)[self._choose(block)]

    def number(self, length: int) -> Iterator[tuple[Values, Values]]:
        """Return all of them in blocks, and beside each the stretch of so many neighbours that it is in, from 0."""
        firsts = np.array(self._due.select(range(length, self.count, length)), np.int64)
        edges = np.unique(firsts)
        stretches = np.concatenate([[0], np.searchsorted(firsts, edges, side="right")])
        # Of requests that are due just when a stretch begins, some may still belong to the one before: these are counted off.
        places = np.cumsum(
            sum((_count_between(edges, block) for block in self._read_due()), np.zeros(len(edges), np.int64))
        )
        for times, due in zip(self.read(), self._read_due(), strict=True):
            intervals = np.searchsorted(edges, due, side="right")
            numbers = stretches[intervals]
            is_edge = np.isin(due, edges)
            for edge in np.unique(intervals[is_edge]) - 1:
                tied = np.flatnonzero(due == edges[edge])
                numbers[tied] = (places[edge] + np.arange(len(tied))) // length
                places[edge] += len(tied)
            yield times, numbers

    @cached_property
    def _selection(self) -> Selection:
        return Selection(self.read)

    @cached_property
    def _due(self) -> Selection:
        return Selection(self._read_due)

    def _read_due(self) -> Iterator[Values]:
        for block in read_blocks(self._samples):
            yield block["intended_ns"][self._choose(block)]


def _count_between(edges: Values, due: Values) -> Values:
    """Return how many are below the first edge, from there on below the second, and so on."""
    return np.bincount(np.searchsorted(edges, due, side="right"), minlength=len(edges) + 1)[:-1]
