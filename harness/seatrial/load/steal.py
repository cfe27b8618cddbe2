"""How much of the CPU time the hypervisor gave to other machines: over a run, and in the worst second of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTime:
    """Of all CPUs together since the start of the machine, in the kernel's ticks (proc(5))."""

    total: int
    """Stolen time included: it grows by as many ticks a second as the kernel counts, for each CPU."""
    stolen: int


@dataclass(slots=True)
class StealMeter:
    """Takes readings as they come, and keeps only those of the latest second.

    Args:
        second_ticks: of all CPUs together.
    """

    second_ticks: int
    worst_second: float | None = None
    """The largest share over any second, from one reading to another; None before there is a whole one."""
    _first: CpuTime | None = None
    _latest: deque[CpuTime] = field(default_factory=deque)

    def add(self, reading: CpuTime) -> None:
        """Take the next reading."""
        self._first = self._first or reading
        self._latest.append(reading)
        while len(self._latest) > 2 and self._is_second(self._latest[1], reading):
            self._latest.popleft()
        if self._is_second(self._latest[0], reading):
            self.worst_second = max(self.worst_second or 0.0, _find_share(self._latest[0], reading))

    @property
    def share(self) -> float | None:
        """Part of all CPU time from the first reading to the latest; None of fewer than two."""
        if self._first is None or self._first is self._latest[-1]:
            return None
        return _find_share(self._first, self._latest[-1])

    def _is_second(self, first: CpuTime, last: CpuTime) -> bool:
        return last.total - first.total >= self.second_ticks


def _find_share(first: CpuTime, last: CpuTime) -> float:
    return (last.stolen - first.stolen) / max(last.total - first.total, 1)
