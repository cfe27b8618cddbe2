"""The gauge of the machine: what it makes of the kernel's figures, whenever it reads them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seatrial.load.machine import MachineGauge, MachineUse, Reading, read_machine
from seatrial.load.steal import CpuTime, StealMeter

SECOND = os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
STEP = SECOND // 10
PATIENCE_S = 30.0


def write_stat(path: Path, *, idle: int, stolen: int, runnable: int = 1) -> None:
    """As the kernel does: what is stolen is beside idle time, and guests' time is in user time already (proc(5))."""
    path.write_text(
        f"cpu  10 20 30 {idle} 40 50 60 {stolen} 900 900\n"
        f"cpu0 10 20 30 {idle} 40 50 60 {stolen} 900 900\n"
        f"intr 1 2 3\nctxt 4\nbtime 5\nprocesses 6\nprocs_running {runnable}\nprocs_blocked 7\n"
    )


def gauge(stat: Path, stolen: Sequence[int]) -> MachineUse:
    """Return what a gauge tells of a machine of which so many ticks are stolen from each reading to the next."""
    files = [(STEP * k - sum(stolen[:k]), sum(stolen[:k])) for k in range(len(stolen) + 1)]
    count = itertools.count()
    all_read = threading.Event()

    def read() -> Reading | None:
        k = next(count)
        idle, taken = files[min(k, len(stolen))]
        write_stat(stat, idle=idle, stolen=taken, runnable=4)
        if k >= len(stolen):
            all_read.set()
        return read_machine(stat)

    with MachineGauge(read=read, period_s=0.001) as machine:
        assert all_read.wait(PATIENCE_S)
    return machine.use


def test_a_file_of_the_kernel_tells_both(tmp_path: Path) -> None:
    write_stat(tmp_path / "stat", idle=1000, stolen=70, runnable=3)

    assert read_machine(tmp_path / "stat") == Reading(cpu_time=CpuTime(total=1280, stolen=70), runnable=3)


@pytest.mark.parametrize("text", [None, "", "cpu  1 2 3\nprocs_running 1\n", "cpu  1 2 3 4 5 6 7 8 9 0\n", "cpu  x\n"])
def test_where_the_kernel_does_not_tell_there_is_no_reading(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "stat").write_text(text)

    assert read_machine(tmp_path / "stat") is None
    with MachineGauge(read=lambda: read_machine(tmp_path / "stat")) as machine:
        pass
    assert (machine.use.steal_share, machine.use.steal_worst_share, machine.use.runnable) == (None, None, None)


def test_half_a_second_that_is_taken_in_thirty_is_seen(tmp_path: Path) -> None:
    """Of all CPUs: little of the run, and half of a second in it."""
    use = gauge(tmp_path / "stat", [0] * 97 + [STEP] * 5 + [0] * 198)

    assert use.steal_share == pytest.approx(5 / 300)
    assert use.steal_worst_share == pytest.approx(0.5)
    assert use.runnable == 4


def test_a_run_shorter_than_a_second_is_a_second_of_its_own(tmp_path: Path) -> None:
    use = gauge(tmp_path / "stat", [0, STEP, 0, 0])

    assert use.steal_share == use.steal_worst_share == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("steps", "worst"),
    [
        # (ticks of all, ticks stolen) from reading to reading; a second has 200.
        ([(20, 0)] * 9 + [(20, 20)], 0.1),
        # It lies across two whole seconds from the beginning.
        ([(20, 0)] * 8 + [(20, 10)] * 4 + [(20, 0)] * 8, 0.2),
        # A reading that comes late, as when its CPU is what was taken: the second is that of the ticks.
        ([(20, 0)] * 12 + [(180, 90)] + [(20, 0)] * 12, 0.45),
        ([(20, 0)] * 12 + [(500, 100)] + [(20, 0)] * 12, 0.2),
        ([(20, 1)] * 30, 0.05),
        ([(20, 20)] * 9, None),
    ],
)
def test_the_worst_second_is_any_that_begins_and_ends_at_readings(
    steps: list[tuple[int, int]], worst: float | None
) -> None:
    meter = StealMeter(200)
    total = stolen = 0
    meter.add(CpuTime(total=0, stolen=0))
    for ticks, taken in steps:
        total, stolen = total + ticks, stolen + taken
        meter.add(CpuTime(total=total, stolen=stolen))

    assert meter.worst_second == (None if worst is None else pytest.approx(worst))
    assert meter.share == pytest.approx(stolen / total)


def test_of_one_reading_there_is_no_share() -> None:
    meter = StealMeter(200)
    assert meter.share is None
    meter.add(CpuTime(total=1, stolen=1))

    assert (meter.share, meter.worst_second) == (None, None)


def test_what_was_before_the_window_is_left_out(tmp_path: Path) -> None:
    """A second that was taken from a warm-up did no harm, and quiet minutes before a window say nothing of it."""
    count, all_read = itertools.count(), threading.Event()
    stolen = 0

    def read() -> Reading | None:
        nonlocal stolen
        k = next(count)
        stolen += STEP if k < 20 else STEP // 10
        if k == 20:
            machine.begin_ns = time.monotonic_ns()
        if k == 60:
            all_read.set()
        write_stat(tmp_path / "stat", idle=STEP * k - stolen + 10**6, stolen=stolen, runnable=9 if k < 40 else 4)
        return read_machine(tmp_path / "stat")

    machine = MachineGauge(read=read, period_s=0.001)
    with machine:
        assert all_read.wait(PATIENCE_S)

    assert machine.use.steal_share == pytest.approx(0.1)
    assert machine.use.steal_worst_share == pytest.approx(0.1)


def test_a_window_that_nobody_looked_at_is_not_told_of_by_what_was_before_it(tmp_path: Path) -> None:
    """A warm-up that was taken, and a window that is over before the next reading."""
    count = itertools.count()

    def read() -> Reading | None:
        k = next(count)
        write_stat(tmp_path / "stat", idle=10**6, stolen=STEP * k, runnable=9)
        return read_machine(tmp_path / "stat")

    def repeat(work: Callable[[], None], _: float) -> Callable[[], None]:
        for _ in range(30):
            work()
        machine.begin_ns = time.monotonic_ns()
        return lambda: None

    machine = MachineGauge(read=read, repeat=repeat)
    with machine:
        pass

    assert (machine.use.steal_share, machine.use.steal_worst_share, machine.use.runnable) == (None, None, None)


def test_beside_locust_it_reads_while_a_greenlet_gives_no_other_a_turn(serve: Callable[..., int]) -> None:
    """As Locust's own work does, and a locustfile's: a gauge that waited for its turn would see none of that time."""
    done = subprocess.run(
        [sys.executable, "-c", BUSY_WORKER, str(serve("echo"))], capture_output=True, text=True, timeout=90
    )

    assert done.stdout == "True\n", done.stderr


BUSY_WORKER = """
import functools, sys, time
from locust.stats import RequestStats
from seatrial.load.arrivals import Constant
from seatrial.load.machine import MachineGauge, read_machine
from seatrial.load.plan import Destination, Plan
from seatrial.load.swarm import pacing
from seatrial.load.swarm.messages import Go, Order, encode_law

readings, seen = [], []


def read():
    readings.append(read_machine())
    return readings[-1]


def hold_up():
    if seen:
        return
    before, until_s = len(readings), time.monotonic() + 30.0
    while len(readings) < before + 3 and time.monotonic() < until_s:
        pass
    seen.append(len(readings) >= before + 3)


pacing.MachineGauge = functools.partial(MachineGauge, read=read)
plan = Plan(destination=Destination(host="127.0.0.1", port=int(sys.argv[1])), requests=(b"GET / HTTP/1.1\\r\\n\\r\\n",),
            cases=(0,), mode="open", duration_s=2.0)
worker = pacing.Pacing(
    Order(plan=plan, law=encode_law(Constant(rate=50.0))),
    RequestStats(),
    on_prepared=lambda _: worker.go(Go(start_ns=None, lead_ns=10**8, wall_ns=time.time_ns())),
    on_progress=hold_up,
)
assert worker.run().result.requests == 100
print(*seen)
"""
