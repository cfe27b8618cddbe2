"""Turns: of the checks that are asked at the same time, one at a time asks the deployment that they share."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, Final

WAITED: Final = "waited_for_turn_s"
"""Among the facts of a check, whose duration has it too."""


class Turns:
    """A turn for each target, taken in the order in which they were asked for. A thread that has one may take it again."""

    def __init__(self) -> None:
        self._of_target: defaultdict[str, _Turn] = defaultdict(_Turn)
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def take(self, target: str, facts: dict[str, Any]) -> Iterator[None]:
        """Wait for the turn at a target, and keep it during the block. The seconds waited are added to these facts."""
        with self._guard:
            turn = self._of_target[target]
        if waited_s := turn.begin():
            facts[WAITED] = facts.get(WAITED, 0.0) + waited_s
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

    def begin(self) -> float:
        """Wait for it; return the seconds, 0 when it was free."""
        began_s, has_waited = time.perf_counter(), False
        with self._changed:
            if self._thread != threading.get_ident():
                has_waited = bool(self._depth or self.waiting)
                ticket = object()
                self.waiting.append(ticket)
                try:
                    self._changed.wait_for(lambda: not self._depth and self.waiting[0] is ticket)
                finally:
                    self.waiting.remove(ticket)
                    self._changed.notify_all()
                self._thread = threading.get_ident()
            self._depth += 1
        return time.perf_counter() - began_s if has_waited else 0.0

    def end(self) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._thread = 0
                self._changed.notify_all()
