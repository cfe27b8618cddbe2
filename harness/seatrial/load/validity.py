"""Why a run is no measurement: the client or the machine could not measure, so that no figure of it may be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from seatrial.load.blocks import read_blocks
from seatrial.load.checking import Checked
from seatrial.load.client_saturation import find_saturated_client
from seatrial.load.driver import PacerRun
from seatrial.load.lateness import QUIETER, find_late_sends, measure_lateness
from seatrial.load.littles_law import find_broken_law
from seatrial.load.machine import MachineUse
from seatrial.load.plan import TOLD
from seatrial.load.result import TOLD_TO_END, Reason
from seatrial.load.samples import Outcome
from seatrial.load.saturation import find_saturation, slows_down

CLOCK_STEP_NS: Final = 1_000_000
_MORE = {
    "connections": "allow more connections, or lower the rate: the server held every one that the client may open",
    "descriptors": "raise the limit of open files (ulimit -n), or lower the rate, or the number of users",
    "ports": "widen net.ipv4.ip_local_port_range, or keep connections instead of --reconnect",
}


def find_flaws(run: PacerRun, machine: MachineUse | None = None, checked: Checked | None = None) -> tuple[Reason, ...]:
    """Return why the run is invalid; empty when it is valid.

    | code | when |
    |---|---|
    | `interrupted`, `stopped` | it ended before its time: told to, or after too many failures in a row |
    | `connections-exhausted` | the client had as many as it may, so that requests waited, and the server did not fall behind |
    | `descriptors-exhausted`, `ports-exhausted` | the client ran out of them, so that requests waited |
    | `late-sends` | over 1 % were sent later than the larger of 1 ms and 5 % of the median response time |
    | `missing-sends` | requests of the schedule were not sent, or left no record |
    | `client-saturated` | its loop came late, it used its CPU up, waited for one, was one of too many, or was robbed of it |
    | `littles-law` | a gauge of requests in flight and the records differ by over 5 % and some instructions a request |
    | `clock-step` | the wall clock was set by over 1 ms |
    | `unchecked-answers` | answers were to be compared, and there was no room to keep all that differ |
    """
    return tuple(_list_flaws(run, machine or MachineUse(), checked))


def _list_flaws(run: PacerRun, machine: MachineUse, checked: Checked | None) -> Iterator[Reason]:
    done, lateness = run.done, measure_lateness(run)
    if done.stopped:
        when = " in the warm-up, and the timed window never began" if done.end_ns < done.window_begin_ns else ""
        yield Reason(
            code=TOLD_TO_END if done.stopped == TOLD else "stopped",
            message=f"the run ended before its time{when}: {done.stopped}",
            fix="let it run to its end",
        )
    if done.exhausted == "connections" and find_saturation(run) and slows_down(run):
        # Requests that were due waited for the server: it held every connection, and fell behind.
        yield from _find_missing_sends(run)
    elif done.exhausted:
        # Locust's own users do not count them.
        opened = f" ({done.connections_opened} connections were opened)" if done.connections_opened else ""
        yield Reason(
            code=f"{done.exhausted}-exhausted",
            message=f"the client ran out of {done.exhausted}{opened}, so that requests that were due waited for it",
            fix=_MORE.get(done.exhausted, "lower the rate"),
        )
    else:
        yield from find_late_sends(lateness)
        yield from _find_missing_sends(run)
    yield from find_saturated_client(run, machine, lateness)
    yield from find_broken_law(run)
    if abs(done.clock_step_ns) > CLOCK_STEP_NS:
        yield Reason(
            code="clock-step",
            message=f"the wall clock was set by {done.clock_step_ns / 1e6:.1f} ms meanwhile; at most 1 ms was expected",
            fix="let the time service settle, and run again",
        )
    if checked is not None and checked.unchecked:
        yield Reason(
            code="unchecked-answers",
            message=f"{checked.unchecked} answers could not be compared with their golden ones: answers that differ took more "
            f"than {run.plan.keep_bodies_bytes >> 20} MB",
            fix="a shorter run, or a lower rate",
        )


def _find_missing_sends(run: PacerRun) -> Iterator[Reason]:
    unsent = sum(int(np.count_nonzero(block["outcome"] == Outcome.UNSENT)) for block in read_blocks(run.samples))
    unrecorded = run.done.scheduled - len(run.samples)
    if (unsent or unrecorded) and not run.done.stopped:
        yield Reason(
            code="missing-sends",
            message=f"of {run.done.scheduled} scheduled requests {unsent} were not sent and {unrecorded} left no record",
            fix=QUIETER,
        )
