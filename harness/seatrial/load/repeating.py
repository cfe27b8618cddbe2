"""An invalid measurement is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

MOST_REPEATS: Final = 2

_Measured = TypeVar("_Measured")


def repeat_while_invalid(
    measure: Callable[[], _Measured], is_valid: Callable[[_Measured], bool], most: int = MOST_REPEATS
) -> tuple[_Measured, ...]:
    """Measure until it is valid, and at most `most` times again. Returns every try, the last of which is the one that counts."""
    tries = [measure()]
    while not is_valid(tries[-1]) and len(tries) <= most:
        tries.append(measure())
    return tuple(tries)
