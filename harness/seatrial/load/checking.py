"""Every answer of a run held against its golden one, after the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import BLOCK
from seatrial.load.plan import DistinctAnswer
from seatrial.load.questions import Judgement
from seatrial.load.samples import SAMPLE, Outcome

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


def check_answers(
    path: Path, answers: Iterable[DistinctAnswer], judge: Callable[[DistinctAnswer], Judgement]
) -> Checked:
    """Judge each distinct answer once, and mark in the samples' file every request that got a wrong one.

    Args:
        path: of the samples; their `outcome` changes from `ANSWERED` to `WRONG` or `REFUSED`.
        answers: in the order of their index, none left out.
        judge: tells what an answer is.
    """
    outcomes, mixed, examples = [], [], dict[str, None]()
    for answer in answers:
        judged = None if answer.body is None or answer.status >= 400 else judge(answer)
        outcomes.append(_UNKNOWN if judged is None else int(judged.outcome))
        mixed.append(judged is not None and judged.mixed_up)
        if judged is not None and judged.message and len(examples) < MOST_EXAMPLES:
            examples[judged.message] = None
    return _mark(path, np.array(outcomes, np.uint8), np.array(mixed, np.bool_), tuple(examples))


def _mark(
    path: Path, outcomes: npt.NDArray[np.uint8], mixed: npt.NDArray[np.bool_], examples: tuple[str, ...]
) -> Checked:
    counts, mixed_up = np.zeros(256, np.int64), 0
    with path.open("r+b") as file:
        total = path.stat().st_size // SAMPLE.itemsize
        for begin in range(0, total, BLOCK):
            file.seek(begin * SAMPLE.itemsize)
            block = np.frombuffer(bytearray(file.read(min(BLOCK, total - begin) * SAMPLE.itemsize)), SAMPLE)
            answered = np.flatnonzero(block["outcome"] == Outcome.ANSWERED)
            indices = block["answer"][answered]
            found = outcomes[indices]
            counts += np.bincount(found, minlength=256)
            mixed_up += int(np.count_nonzero(mixed[indices]))
            block["outcome"][answered] = np.where(found == _UNKNOWN, Outcome.ANSWERED, found)
            file.seek(begin * SAMPLE.itemsize)
            file.write(block.tobytes())
    return Checked(
        right=int(counts[Outcome.ANSWERED]),
        wrong=int(counts[Outcome.WRONG]),
        refused=int(counts[Outcome.REFUSED]),
        mixed_up=mixed_up,
        unchecked=int(counts[_UNKNOWN]),
        examples=examples,
    )
