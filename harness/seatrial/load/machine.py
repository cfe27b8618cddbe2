"""What the machine did meanwhile: time that its hypervisor took, processes that run, how long the client waited for a CPU."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

PERIOD_S: Final = 0.1
_END_TIMEOUT_S: Final = 5.0
_STAT = Path("/proc/stat")
_STEAL = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """The machine over a run; None where the kernel does not tell."""

    steal_share: float | None = None
    """Part of all CPU time that the hypervisor gave to other machines."""
    runnable: float | None = None
    """Median number of processes that run or wait for a CPU, of readings 100 ms apart; the one that reads is among them."""
    cpus: int | None = None
    """Of the whole machine."""
    client_waited_s: float | None = None
    """Seconds that the client was ready to run and no CPU was free (schedstat)."""


@dataclass(slots=True)
class MachineGauge:
    """Reads the machine each 100 ms while its block runs, from a thread: what it costs is some 20 us a reading.

    Args:
        client: id of the process that sends.
    """

    client: int
    use: MachineUse = MachineUse()
    _runnable: list[int] = field(default_factory=list)
    _waited_ns: int | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _began: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        self._began = _read_cpu()
        self._waited_ns = _read_wait(self.client)
        self._thread = threading.Thread(target=self._watch, name="machine-gauge", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join(_END_TIMEOUT_S)
        ended = _read_cpu()
        steal = None
        if self._began is not None and ended is not None:
            steal = (ended[1] - self._began[1]) / max(ended[0] - self._began[0], 1)
        middle = sorted(self._runnable)[len(self._runnable) // 2] if self._runnable else None
        waited = None if self._waited_ns is None else self._waited_ns / 1e9
        self.use = MachineUse(steal_share=steal, runnable=middle, cpus=os.cpu_count(), client_waited_s=waited)

    def _watch(self) -> None:
        first_ns = latest_ns = self._waited_ns
        while not self._over.wait(PERIOD_S):
            if (running := _read_runnable()) is not None:
                self._runnable.append(running)
            # The client may be gone at the end of the block, so its last reading is kept.
            latest_ns = _read_wait(self.client) or latest_ns
        latest_ns = _read_wait(self.client) or latest_ns
        if first_ns is not None and latest_ns is not None:
            self._waited_ns = latest_ns - first_ns


def _read_cpu() -> tuple[int, int] | None:
    """Return CPU time since the start of the machine, all of it and what was stolen, in the kernel's ticks (proc(5))."""
    try:
        with _STAT.open(encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(ticks), ticks[_STEAL]) if len(ticks) > _STEAL else None


def _read_runnable() -> int | None:
    try:
        for line in _STAT.read_text(encoding="ascii").splitlines():
            if line.startswith("procs_running"):
                return int(line.split()[1])
    except (OSError, ValueError):
        return None
    return None


def _read_wait(process: int) -> int | None:
    """Return the nanoseconds that a process waited for a CPU (Documentation/scheduler/sched-stats.rst), None when it is gone."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
