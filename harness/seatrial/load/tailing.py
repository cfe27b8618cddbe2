"""Reads samples and answers while a pacer still writes them: what was appended since the last look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from seatrial.load.blocks import BLOCK
from seatrial.load.plan import DistinctAnswer
from seatrial.load.samples import SAMPLE, Samples


class SamplesTail:
    """Follows a file of samples; it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def read(self) -> Iterator[Samples]:
        """Return the records that were appended since the last look, up to 65,536 at a time; one that is half written is left."""
        try:
            size_bytes = self._path.stat().st_size
        except FileNotFoundError:
            return
        there = size_bytes // SAMPLE.itemsize
        while self._seen < there:
            count = min(BLOCK, there - self._seen)
            block = np.fromfile(self._path, SAMPLE, count, offset=self._seen * SAMPLE.itemsize)
            self._seen += len(block)
            yield block


class AnswersTail:
    """Follows a file of distinct answers; it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen_bytes = 0

    def read(self) -> Iterator[DistinctAnswer]:
        """Return the answers that were appended since the last one that was taken, one at a time; half a line is left."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._seen_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._seen_bytes += len(line)
                yield msgspec.json.decode(line, type=DistinctAnswer)
