"""The timed window of a run."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.load.driver import PacerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The timed window, nanoseconds of CLOCK_MONOTONIC."""

    begin_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long it is, at least a nanosecond."""
        return max(self.end_ns - self.begin_ns, 1)

    def at(self, share: float) -> int:
        """Return the time at a share of it."""
        return self.begin_ns + int(share * self.length_ns)


def find_window(run: PacerRun) -> Window:
    """Return the timed window of a run; it ends with the run when that was stopped before."""
    done = run.done
    end_ns = min(done.window_end_ns, done.end_ns) if done.stopped else done.window_end_ns
    return Window(begin_ns=done.window_begin_ns, end_ns=max(done.window_begin_ns, end_ns))
