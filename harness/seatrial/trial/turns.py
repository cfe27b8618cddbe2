"""Turns: of the checks that are asked at the same time, one at a time asks the deployment that they share."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict, deque
from collections.abc import Iterator


class Turns:
    """A turn for each target, taken in the order in which they were asked for. A thread that has one may take it again."""

    def __init__(self) -> None:
        self._of_target: defaultdict[str, _Turn] = defaultdict(_Turn)
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def take(self, target: str) -> Iterator[None]:
        """Wait for the turn at a target, and keep it during the block."""
        with self._guard:
            turn = self._of_target[target]
        turn.begin()
        try:
            yield
        finally:
            turn.end()

    def count_waiting(self, target: str) -> int:
        """How many wait for the turn at a target."""
        with self._guard:
            turn = self._of_target[target]
        return len(turn.waiting)


class _Turn:
    """Not a `threading.RLock`, which lets whoever asks again at once go before those that have waited."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.waiting: deque[object] = deque()
        self._thread = 0
        self._depth = 0

    def begin(self) -> None:
        with self._changed:
            if self._thread != threading.get_ident():
                ticket = object()
                self.waiting.append(ticket)
                try:
                    self._changed.wait_for(lambda: not self._depth and self.waiting[0] is ticket)
                finally:
                    self.waiting.remove(ticket)
                    self._changed.notify_all()
                self._thread = threading.get_ident()
            self._depth += 1

    def end(self) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._thread = 0
                self._changed.notify_all()
