"""Every answer of a run held against its golden one, after the run or beside it, never where requests are sent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import BLOCK
from seatrial.load.plan import DistinctAnswer
from seatrial.load.questions import Judgement
from seatrial.load.samples import SAMPLE, Outcome, Samples

MOST_EXAMPLES = 5
_UNKNOWN = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of it: counts are of requests, warm-up included."""

    right: int
    wrong: int
    refused: int
    mixed_up: int
    unchecked: int
    """Answered, and the body was not kept."""
    examples: tuple[str, ...]
    """What is wrong, in words, each kind once, five at most."""


class AnswerCheck:
    """Judges each distinct answer once, and marks the requests that got a wrong one.

    Args:
        judge: tells what an answer is.
    """

    def __init__(self, judge: Callable[[DistinctAnswer], Judgement]) -> None:
        self._judge = judge
        self._outcomes, self._mixed = bytearray(), bytearray()
        self._examples: dict[str, None] = {}

    @property
    def count(self) -> int:
        """How many answers were judged."""
        return len(self._outcomes)

    def learn(self, answers: Iterable[DistinctAnswer], most_s: float = math.inf) -> None:
        """Judge answers, which come in the order of their index, none left out; take no more of them after so long."""
        deadline_s = time.monotonic() + most_s
        for answer in answers:
            judged = None if answer.body is None or answer.status >= 400 else self._judge(answer)
            self._outcomes.append(_UNKNOWN if judged is None else int(judged.outcome))
            self._mixed.append(judged is not None and judged.mixed_up)
            if judged is not None and judged.message and len(self._examples) < MOST_EXAMPLES:
                self._examples[judged.message] = None
            if time.monotonic() > deadline_s:
                return

    def knows(self, samples: Samples) -> bool:
        """Whether every answer that samples got was judged."""
        answered = samples["answer"][samples["outcome"] == Outcome.ANSWERED]
        return not len(answered) or int(answered.max()) < len(self._outcomes)

    def mark(self, samples: Samples) -> Samples:
        """Return the samples with `ANSWERED` changed to `WRONG` or `REFUSED` where their answer is."""
        marked = samples.copy()
        answered, found = self._find(samples)
        marked["outcome"][answered] = np.where(found == _UNKNOWN, Outcome.ANSWERED, found)
        return marked

    def mark_file(self, path: Path) -> Checked:
        """Mark every request in a file of samples, and return how many there are of each kind."""
        counts, mixed_up = np.zeros(256, np.int64), 0
        mixed = np.frombuffer(bytes(self._mixed), np.bool_)
        with path.open("r+b") as file:
            total = path.stat().st_size // SAMPLE.itemsize
            for begin in range(0, total, BLOCK):
                file.seek(begin * SAMPLE.itemsize)
                block = np.frombuffer(file.read(min(BLOCK, total - begin) * SAMPLE.itemsize), SAMPLE)
                answered, found = self._find(block)
                counts += np.bincount(found, minlength=256)
                mixed_up += int(np.count_nonzero(mixed[block["answer"][answered]]))
                file.seek(begin * SAMPLE.itemsize)
                file.write(self.mark(block).tobytes())
        return Checked(
            right=int(counts[Outcome.ANSWERED]),
            wrong=int(counts[Outcome.WRONG]),
            refused=int(counts[Outcome.REFUSED]),
            mixed_up=mixed_up,
            unchecked=int(counts[_UNKNOWN]),
            examples=tuple(self._examples),
        )

    def _find(self, samples: Samples) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return which samples were answered, and what each of their answers is."""
        answered = np.flatnonzero(samples["outcome"] == Outcome.ANSWERED)
        return answered, np.frombuffer(bytes(self._outcomes), np.uint8)[samples["answer"][answered]]


def check_answers(
    path: Path, answers: Iterable[DistinctAnswer], judge: Callable[[DistinctAnswer], Judgement]
) -> Checked:
    """Judge each distinct answer once, and mark in the samples' file every request that got a wrong one.

    Args:
        path: of the samples; their `outcome` changes from `ANSWERED` to `WRONG` or `REFUSED`.
        answers: in the order of their index, none left out.
        judge: tells what an answer is.
    """
    check = AnswerCheck(judge)
    check.learn(answers)
    return check.mark_file(path)
