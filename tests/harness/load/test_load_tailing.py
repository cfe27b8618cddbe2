"""Samples that are read while they are written: each once, in order, none by half."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from seatrial.load import tailing
from seatrial.load.samples import SAMPLE, Samples
from seatrial.load.tailing import SamplesTail


def make_samples(count: int) -> Samples:
    samples = np.zeros(count, SAMPLE)
    samples["intended_ns"] = np.arange(count)
    return samples


def look(tail: SamplesTail) -> list[int]:
    return [int(each) for block in tail.read() for each in block["intended_ns"]]


def test_a_file_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    tail = SamplesTail(tmp_path / "samples.bin")

    assert look(tail) == []
    make_samples(3).tofile(tmp_path / "samples.bin")
    assert look(tail) == [0, 1, 2]
    assert look(tail) == []


def test_each_record_is_read_once_and_none_by_half(tmp_path: Path) -> None:
    data = make_samples(50).tobytes()
    tail = SamplesTail(tmp_path / "samples.bin")
    seen: list[int] = []
    cuts = [0, 7, 60, 61, 119, 120, 600, 1000, 2999, 3000]
    with (tmp_path / "samples.bin").open("wb", buffering=0) as file:
        for begin, end in pairwise(cuts):
            file.write(data[begin:end])
            seen += look(tail)
            assert len(seen) == end // SAMPLE.itemsize

    assert seen == list(range(50))


def test_many_come_in_blocks(tmp_path: Path) -> None:
    make_samples(2 * tailing.BLOCK + 5).tofile(tmp_path / "samples.bin")
    lengths = [len(block) for block in SamplesTail(tmp_path / "samples.bin").read()]

    assert lengths == [tailing.BLOCK, tailing.BLOCK, 5]
