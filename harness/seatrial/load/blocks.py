"""Samples a block at a time, so that what is read of ten million records is not held at once."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.quantiles import Times
from seatrial.load.samples import SAMPLE, Samples

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


def gather(samples: Samples, choose: Choice, read: Reading) -> Times:
    """Return what `read` makes of the records that `choose` picks; nanoseconds, in the order of the records."""
    count = sum(int(np.count_nonzero(choose(block))) for block in read_blocks(samples))
    gathered = np.empty(count, np.int64)
    filled = 0
    for block in read_blocks(samples):
        values = read(block[choose(block)])
        gathered[filled : filled + len(values)] = values
        filled += len(values)
    return gathered
