"""What the machine did meanwhile: time that its hypervisor took, processes that run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from seatrial.load.steal import CpuTime, StealMeter

PERIOD_S: Final = 0.1
_END_TIMEOUT_S: Final = 5.0
STAT: Final = Path("/proc/stat")
_STEAL = 7
_RUNNABLE = "\nprocs_running "


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """The machine over a timed window and its drain; None where the kernel does not tell."""

    steal_share: float | None = None
    """Part of all CPU time that the hypervisor gave to other machines."""
    steal_worst_share: float | None = None
    """The same of the worst second, of readings 100 ms apart; of a run that is shorter, of the whole."""
    runnable: float | None = None
    """Median number of processes that run or wait for a CPU, of readings 100 ms apart; the one that reads is among them."""
    cpus: int | None = None
    """Of the whole machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The machine at one moment."""

    cpu_time: CpuTime
    runnable: int
    """Processes that run or wait for a CPU, the one that reads among them."""


def read_machine(stat: Path = STAT) -> Reading | None:
    """Return what the kernel tells in one file (proc(5)); None where it does not."""
    try:
        text = stat.read_text(encoding="ascii")
        ticks = [int(word) for word in text[: text.index("\n")].split()[1:9]]
        begin = text.index(_RUNNABLE) + len(_RUNNABLE)
        runnable = int(text[begin : text.index("\n", begin)])
        return Reading(cpu_time=CpuTime(total=sum(ticks), stolen=ticks[_STEAL]), runnable=runnable)
    except (OSError, ValueError, IndexError):
        return None


Repeat = Callable[[Callable[[], None], float], Callable[[], None]]
"""Has work done each so many seconds beside what goes on, until what it returns is called."""


def repeat_in_thread(work: Callable[[], None], period_s: float) -> Callable[[], None]:
    """Do work each so many seconds until what is returned is called."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(period_s):
            work()

    thread = threading.Thread(target=go_on, name="machine-gauge", daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join(_END_TIMEOUT_S)

    return end


@dataclass(slots=True)
class MachineGauge:
    """Reads the machine each 100 ms while its block runs, from a thread: a reading costs some 40 us.

    It must be a thread that whatever the process does cannot hold up. What readings that come late enclose is told of a longer
    time, in which a second that was taken is lost, and before the first of a window nothing of that window is seen.

    Args:
        read: returns a reading; None where there is none to be had.
        period_s: from one reading to the next.
        begin_ns: what was before this time, CLOCK_MONOTONIC, is left out; it may be told while the block runs.
        repeat: has the readings made.
    """

    read: Callable[[], Reading | None] = read_machine
    period_s: float = PERIOD_S
    begin_ns: int = 0
    repeat: Repeat = repeat_in_thread
    use: MachineUse = MachineUse()
    _steal: StealMeter = field(default_factory=lambda: StealMeter(_count_ticks_per_second()))
    _runnable: list[int] = field(default_factory=list)
    _begun_ns: int = 0
    _end: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        self._look()
        self._end = self.repeat(self._watch, self.period_s)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end is not None
        self._end()
        # A window that ended before it was looked at is not told of by what was before it.
        self._leave_out()
        self._look()
        steal = self._steal.share
        worst = steal if self._steal.worst_second is None else self._steal.worst_second
        middle = sorted(self._runnable)[len(self._runnable) // 2] if self._runnable else None
        self.use = MachineUse(
            steal_share=steal,
            steal_worst_share=worst,
            runnable=middle,
            cpus=os.cpu_count(),
        )

    def _watch(self) -> None:
        self._leave_out()
        if (runnable := self._look()) is not None:
            self._runnable.append(runnable)

    def _leave_out(self) -> None:
        """Forget what was before the beginning, once that has come."""
        if self.begin_ns == self._begun_ns or time.monotonic_ns() < self.begin_ns:
            return
        self._begun_ns = self.begin_ns
        self._steal = StealMeter(self._steal.second_ticks)
        self._runnable.clear()

    def _look(self) -> int | None:
        """Read the machine, and return how many processes want a CPU."""
        reading = self.read()
        if reading is None:
            return None
        self._steal.add(reading.cpu_time)
        return reading.runnable


def _count_ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
