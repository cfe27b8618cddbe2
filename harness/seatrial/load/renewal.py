"""Requests that are signed anew while a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from seatrial.load.questions import Questions

RENEWED_WITHIN: Final = 120
"""Turns, a second apart, in which every signature is renewed: they hold for five minutes."""


class Renewal:
    """Signs requests anew, some a turn, so that none runs out and a pacer never has many to read at once.

    Args:
        questions: what is asked; nothing is done where requests are not signed.
        renew: takes the number of a case and its new request.
    """

    def __init__(self, questions: Questions | None, renew: Callable[[int, bytes], None]) -> None:
        self._questions = questions if questions is not None and questions.expires else None
        self._renew = renew
        self._next = 0

    def go_on(self) -> None:
        """Take one turn; to be called about once a second."""
        if self._questions is None:
            return
        count = len(self._questions.cases)
        for _ in range(ceil(count / RENEWED_WITHIN)):
            self._renew(self._next, self._questions.write_request(self._next))
            self._next = (self._next + 1) % count
