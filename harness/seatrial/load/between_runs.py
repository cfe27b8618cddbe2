"""What a search for a capacity does for its server between runs: it is warmed up once, and left alone where it was overloaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from seatrial.load.capacity import Measured
from seatrial.load.driver import ExhaustedClientError, UnconnectedError
from seatrial.load.result import Judgement, LoadResult

SETTLE_S: Final = 10.0
_LEAST_PATIENCE_S: Final = 0.25
_POLL_S: Final = 0.05


def judge_unmade(error: UnconnectedError | ExhaustedClientError) -> Measured:
    """Return what a run comes to that could not begin.

    A server that takes no connection has missed its objective, as an overloaded one does; a client that has none to give could
    not measure.
    """
    if isinstance(error, ExhaustedClientError):
        return Measured(judgement=Judgement(status="undecided", valid=False, message=error.message))
    message = f"the run could not begin: {error.message}"
    return Measured(judgement=Judgement(status="missed", message=message))


@dataclass(slots=True, kw_only=True)
class SearchWarmUp:
    """How long the warm-up of each run is. Until one was made the server is cold; one that has been asked stays warm.

    Args:
        first_s: of the first run; None: until response times are level.
        later_s: of each run after it; None: likewise.

    Attributes:
        took_s: seconds that the first one took; 0 before it.
    """

    first_s: float | None = None
    later_s: float | None
    took_s: float = field(default=0.0, init=False)
    _is_warm: bool = field(default=False, init=False)

    @property
    def next_s(self) -> float | None:
        """Seconds of the next run's; None: until response times are level."""
        return self.later_s if self._is_warm else self.first_s

    def take_in(self, result: LoadResult) -> None:
        """Take in a run that was made; one to which no connection was to be had warms nothing up."""
        if not self._is_warm:
            self._is_warm, self.took_s = True, result.warm_up_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of one question: how long its answer took, and whether that was a refusal."""

    took_s: float
    refused: bool = False


class Recovery:
    """Waits until a question is answered about as soon as before the search: an overloaded server works on for a while.

    A refusal, which one that sheds load has ready at once, is no such answer where there was none before.

    Args:
        ask: asks one question, within so many seconds; None when there was no answer.
    """

    def __init__(self, ask: Callable[[float], Asked | None]) -> None:
        self._ask = ask
        before = ask(SETTLE_S)
        self._patience_s = max(_LEAST_PATIENCE_S, 2 * (before.took_s if before else 0.0))
        self._refuses = before is not None and before.refused

    def wait(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """Wait, `SETTLE_S` at most; `on_wait` is told once, when the first answer does not come as soon."""
        deadline_s = time.monotonic() + SETTLE_S
        is_told = False
        while time.monotonic() < deadline_s:
            asked = self._ask(max(deadline_s - time.monotonic(), 0.1))
            if asked is not None and asked.took_s <= self._patience_s and (self._refuses or not asked.refused):
                return
            if not is_told:
                on_wait()
                is_told = True
            time.sleep(_POLL_S)
