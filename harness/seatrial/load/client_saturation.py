"""Whether the client had the CPU that it takes to measure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from seatrial.load.driver import PacerRun
from seatrial.load.lateness import QUIETER, Lateness
from seatrial.load.machine import MachineUse
from seatrial.load.plan import Done
from seatrial.load.result import Reason

CLIENT_SATURATED: Final = "client-saturated"
BUSY: Final = "busy"
"""The sign that says nothing against a measurement of the client itself."""
LAG_NS: Final = 5_000_000
"""For half of the ticks: the loop is five of its own timer's steps (libuv counts milliseconds) behind all the time."""
STALL_NS: Final = 50_000_000
"""For 1 % of the ticks, and for two at least: one hiccup of a machine is what the late sends tell of, when it matters."""
FEWEST_TICKS: Final = 10
BUSY_ALLOWED: Final = 0.9
STEAL_ALLOWED: Final = 0.05
SECOND_STEAL_ALLOWED: Final = 0.2
"""Of the worst second, which the share over a long run hides. A fifth of two CPUs' is 0.4 s, in which the client may stand still.
It is far above what does no harm: 1 % of a run of five seconds, if all of it falls into one, is 5 % of that second."""
WAIT_ALLOWED: Final = 0.1
CROWDED_WAIT_ALLOWED: Final = 0.05
"""Where the machine's run queue says why it waits, and late sends that it does harm."""
CROWDED_LATE_ALLOWED: Final = 0.001


def find_saturated_client(run: PacerRun, machine: MachineUse, lateness: Lateness | None) -> Iterator[Reason]:
    """Return that the client could not measure, and by what that shows, if so."""
    found = [*_find_lag(run.done), *_find_want_of_cpu(run.done, machine, lateness)]
    if found:
        yield Reason(
            code=CLIENT_SATURATED,
            message=f"the client could not measure: {'; '.join(each.message for each in found)}",
            fix=QUIETER,
            signs=tuple(each.name for each in found),
        )


class _Sign(NamedTuple):
    """By what it shows."""

    name: str
    message: str


def _find_lag(done: Done) -> Iterator[_Sign]:
    lag_ns = sorted(done.loop_lag_ns)
    if len(lag_ns) < FEWEST_TICKS:
        return
    middle = lag_ns[len(lag_ns) // 2]
    stalls = sum(each > STALL_NS for each in lag_ns)
    if middle > LAG_NS:
        yield _Sign("lag", f"its loop was {middle / 1e6:.1f} ms behind in the median, {LAG_NS / 1e6:g} ms are allowed")
    elif stalls >= max(2, 0.01 * len(lag_ns)):
        yield _Sign(
            "stalls",
            f"its loop came over {STALL_NS / 1e6:g} ms late {stalls} times in {len(lag_ns)}, by up to {lag_ns[-1] / 1e6:.0f} ms",
        )


def _find_want_of_cpu(done: Done, machine: MachineUse, lateness: Lateness | None) -> Iterator[_Sign]:
    whole_s, cpu_s, spun_s = done.window_s, done.window_cpu_s, done.window_spun_s
    waited_s = done.window_waited_s or 0.0
    # A process that spins is always ready to run, so it waits most while nothing is due: that part is left out. It spins by
    # the clock, so that what it waited meanwhile is in that time too.
    awake_s = max(cpu_s + waited_s, 1e-9)
    at_work = max(awake_s - spun_s, 0.0) / awake_s
    busy, waiting = cpu_s * at_work / whole_s, waited_s * at_work / whole_s
    if busy > BUSY_ALLOWED:
        yield _Sign(BUSY, f"it worked {busy:.0%} of the window on its one CPU, {BUSY_ALLOWED:.0%} are allowed")
    if waiting > WAIT_ALLOWED:
        yield _Sign("waiting", f"it waited {waiting:.0%} of the window for a CPU, {WAIT_ALLOWED:.0%} are allowed")
    elif waiting > CROWDED_WAIT_ALLOWED and (lateness is None or lateness.share > CROWDED_LATE_ALLOWED):
        yield from _find_crowd(spun_s / whole_s, waiting, machine, lateness)
    yield from _find_steal(machine)


def _find_steal(machine: MachineUse) -> Iterator[_Sign]:
    if (machine.steal_share or 0.0) > STEAL_ALLOWED:
        told = f"the hypervisor took {machine.steal_share:.0%} of the CPU time, {STEAL_ALLOWED:.0%} are allowed"
        yield _Sign("steal", told)
    elif (machine.steal_worst_share or 0.0) > SECOND_STEAL_ALLOWED:
        yield _Sign(
            "steal-of-a-second",
            f"the hypervisor took {machine.steal_worst_share:.0%} of the CPU time of one second, "
            f"{SECOND_STEAL_ALLOWED:.0%} are allowed",
        )


def _find_crowd(spinning: float, waiting: float, machine: MachineUse, lateness: Lateness | None) -> Iterator[_Sign]:
    """A run queue alone says nothing of the client: a server may use every CPU, and the client come before it all the same."""
    if machine.runnable is None or machine.cpus is None:
        return
    # The one that reads the run queue is in it, and so is a client that spins.
    queue = machine.runnable - 1 - spinning
    if queue > machine.cpus:
        late = "" if lateness is None else f", and {lateness.share:.1%} of its sends came late"
        yield _Sign(
            "crowd",
            f"{queue:.0f} processes wanted one of {machine.cpus} CPUs in the median, it waited {waiting:.0%} of the window for "
            f"one among them ({CROWDED_WAIT_ALLOWED:.0%} are allowed then){late}",
        )
