"""What a client uses of its CPU, by its own account: the window told apart from what is before and after it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seatrial.load.arrivals import SECOND_NS

SCHEDSTAT: Final = Path("/proc/self/schedstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Up to a moment, or from one to another."""

    at_ns: int = 0
    cpu_s: float = 0.0
    spun_s: float = 0.0
    waited_s: float | None = None
    """Seconds that it was ready to run and no CPU was free; None where the kernel does not tell."""

    def __sub__(self, before: Use) -> Use:
        known = self.waited_s is not None and before.waited_s is not None
        return Use(
            at_ns=self.at_ns - before.at_ns,
            cpu_s=self.cpu_s - before.cpu_s,
            spun_s=self.spun_s - before.spun_s,
            waited_s=(self.waited_s or 0.0) - (before.waited_s or 0.0) if known else None,
        )


class OwnUse:
    """Marks what this process has used at four moments: the client that is measured tells them best, for it makes them.

    All is taken at the same moments, so that shares are of the time that they were counted over. A drain, in which a client has
    next to nothing to do, neither makes a busy window look idle nor counts against an idle one.
    """

    def __init__(self) -> None:
        self._began = self._ended = Use()
        self._window: Use | None = None
        self._over: Use | None = None

    def begin(self) -> None:
        """The run begins."""
        self._began = read_use(0)

    def begin_window(self, spun_ns: int = 0) -> None:
        """The window has begun."""
        self._window = self._window or read_use(spun_ns)

    def end_window(self, spun_ns: int = 0) -> None:
        """The window is over."""
        self._over = self._over or read_use(spun_ns)

    def end(self, spun_ns: int = 0) -> None:
        """The run is over."""
        self._ended = read_use(spun_ns)

    @property
    def is_in_window(self) -> bool:
        """Whether the window was said to have begun."""
        return self._window is not None

    @property
    def from_ns(self) -> int:
        """From when the window's use is counted, 0 where it was not said to begin: then it is from the beginning of the run."""
        return self._window.at_ns if self._window else 0

    @property
    def until_ns(self) -> int:
        """Up to when the window's use is counted."""
        return (self._over or self._ended).at_ns

    @property
    def whole(self) -> Use:
        """Of the run."""
        return self._ended - self._began

    @property
    def warm_up(self) -> Use:
        """Of what was before the window."""
        return (self._window or self._began) - self._began

    @property
    def window(self) -> Use:
        """Of the window."""
        return (self._over or self._ended) - (self._window or self._began)

    @property
    def drain(self) -> Use:
        """Of what was after the window."""
        return self._ended - (self._over or self._ended)


def read_use(spun_ns: int) -> Use:
    """Return what this process has used so far, and what it says it has spun."""
    return Use(
        at_ns=time.monotonic_ns(), cpu_s=time.process_time(), spun_s=spun_ns / SECOND_NS, waited_s=_read_waited_s()
    )


def _read_waited_s() -> float | None:
    """Return for how long the main thread waited for a CPU (Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(SCHEDSTAT.read_text(encoding="ascii").split()[1]) / SECOND_NS
    except (OSError, ValueError, IndexError):
        return None
