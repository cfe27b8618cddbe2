"""Questions that nobody has asked before, whose right answers are known: batches of the same golden cases, in other orders.

Each takes as much work as any other, so that what one of them takes can be compared with what many take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from seatrial.model import Arrays, Case, Manifest

PARTS: Final = 9
"""Shares without a question in common: of three runs, three attempts each."""
MOST_BYTES: Final = 64 << 20
_LONGEST: Final = 10
# A prime, and so without a factor in common with a factorial that is shorter: its steps go through all orders.
_STEP: Final = 1_000_003


def make_fresh(cases: Sequence[Case], manifest: Manifest, *, part: int, most: int, start: int = 0) -> tuple[Case, ...]:
    """Return questions of one of `PARTS` shares, `most` at most; none where the model takes no batches, or shapes differ.

    Each is a batch of as many golden cases as it takes to have enough orders of them, ten at most. Their answers differ pairwise
    where those of the cases do.

    Args:
        cases: golden cases that differ pairwise.
        manifest: the model's.
        part: which of the shares, from 0.
        most: how many are wanted, the same for every part; what they take together is bounded too, by 64 MiB.
        start: where among the orders the first part begins.
    """
    if len(cases) < 2 or not manifest.batched or not _are_alike(cases):
        return ()
    longest = min(_LONGEST, len(cases))
    length = next((k for k in range(2, longest) if math.factorial(k) >= PARTS * most), longest)
    chosen = [cases[place * len(cases) // length] for place in range(length)]
    size_bytes = sum(array.nbytes for case in chosen for array in (*case.inputs.values(), *case.outputs.values()))
    count = min(most, math.factorial(length) // PARTS, MOST_BYTES // max(size_bytes, 1))
    return tuple(_join(_order(chosen, start + part + PARTS * number)) for number in range(count))


def _are_alike(cases: Sequence[Case]) -> bool:
    """Whether arrays differ in the length of their batches alone."""
    first = cases[0]
    return all(
        array.shape[1:] == same[name].shape[1:] and array.ndim > 0
        for case in cases
        for arrays, same in ((case.inputs, first.inputs), (case.outputs, first.outputs))
        for name, array in arrays.items()
    )


def _order(cases: Sequence[Case], number: int) -> list[Case]:
    """Return the cases in one of their orders, by the digits of a number to mixed radix (Lehmer code)."""
    place = number * _STEP % math.factorial(len(cases))
    left, ordered = list(cases), []
    for radix in range(len(cases), 0, -1):
        place, digit = divmod(place, radix)
        ordered.append(left.pop(digit))
    return ordered


def _join(chosen: Sequence[Case]) -> Case:
    def stack(each: Sequence[Arrays]) -> Arrays:
        return {name: np.concatenate([arrays[name] for arrays in each]) for name in each[0]}

    return Case(
        name=" + ".join(case.name for case in chosen),
        inputs=stack([case.inputs for case in chosen]),
        outputs=stack([case.outputs for case in chosen]),
    )
