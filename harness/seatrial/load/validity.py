"""Why a run is no measurement: the client or the machine could not measure, so that no figure of it may be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries, read_blocks
from seatrial.load.checking import Checked
from seatrial.load.driver import PacerRun
from seatrial.load.machine import MachineUse
from seatrial.load.quantiles import Times, find_quantile
from seatrial.load.result import Reason
from seatrial.load.samples import NEVER, Outcome, Samples
from seatrial.load.window import find_window

LATE_NS: Final = 1_000_000
LATE_SHARE_OF_MEDIAN: Final = 0.05
LATE_SENDS_ALLOWED: Final = 0.01
LAG_NS: Final = 5_000_000
"""For half of the ticks: the loop is five of its own timer's steps (libuv counts milliseconds) behind all the time."""
STALL_NS: Final = 50_000_000
"""For 1 % of the ticks, and for two at least: one hiccup of a machine is what the late sends tell of, when it matters."""
FEWEST_TICKS: Final = 10
BUSY_ALLOWED: Final = 0.9
STEAL_ALLOWED: Final = 0.05
WAIT_ALLOWED: Final = 0.1
LITTLES_LAW_ALLOWED: Final = 0.05
FEWEST_FOR_LITTLES_LAW: Final = 100
GAUGE_STEP_NS: Final = 10_000
"""What gauge and record may differ by for one request: they are read some instructions apart."""
CLOCK_STEP_NS: Final = 1_000_000
TOLD: Final = "told to stop"
"""`Done.stopped` of a pacer that was told to."""
_QUIETER = "run the client on a quieter machine or on a CPU of its own, lower the rate, or use more workers"
_MORE = {
    "connections": "allow more connections, or lower the rate: the server held every one that the client may open",
    "descriptors": "raise the limit of open files (ulimit -n), or lower the rate",
    "ports": "widen net.ipv4.ip_local_port_range, or keep connections instead of --reconnect",
}


def find_flaws(run: PacerRun, machine: MachineUse | None = None, checked: Checked | None = None) -> tuple[Reason, ...]:
    """Return why the run is invalid; empty when it is valid.

    | code | when |
    |---|---|
    | `interrupted`, `stopped` | it ended before its time: told to, or after too many failures in a row |
    | `connections-exhausted`, `descriptors-exhausted`, `ports-exhausted` | the client ran out of them, so that requests waited |
    | `late-sends` | over 1 % were sent later than the larger of 1 ms and 5 % of the median response time |
    | `missing-sends` | requests of the schedule were not sent, or left no record |
    | `client-saturated` | its loop came late, it used its CPU up, waited for one, or its hypervisor took time |
    | `littles-law` | a gauge of requests in flight and the records differ by over 5 % |
    | `clock-step` | the wall clock was set by over 1 ms |
    | `unchecked-answers` | answers were to be compared, and there was no room to keep all that differ |
    """
    return tuple(_list_flaws(run, machine or MachineUse(), checked))


def measure_lags(samples: Samples) -> Times:
    """Return how late each request of the window was sent by the client's doing, nanoseconds, 0 or more.

    Opening a connection for it is not: it is the server's time as much as the answer is, and in the response time like it.
    """
    return read_lags(samples)[is_sent(samples)]


def is_sent(samples: Samples) -> npt.NDArray[np.bool_]:
    """Return which requests are of the window and were sent."""
    chosen: npt.NDArray[np.bool_] = (samples["phase"] == 0) & (samples["sent_ns"] != NEVER)
    return chosen


def read_lags(samples: Samples) -> Times:
    """Return what `measure_lags` tells of each request, also of those that were not sent, of which it means nothing."""
    lags: Times = np.maximum(samples["sent_ns"] - samples["intended_ns"] - np.maximum(samples["connect_ns"], 0), 0)
    return lags


def _list_flaws(run: PacerRun, machine: MachineUse, checked: Checked | None) -> Iterator[Reason]:
    done = run.done
    if done.stopped:
        yield Reason(
            code="interrupted" if done.stopped == TOLD else "stopped",
            message=f"the run ended before its time: {done.stopped}",
            fix="let it run to its end",
        )
    if done.exhausted:
        yield Reason(
            code=f"{done.exhausted}-exhausted",
            message=f"the client ran out of {done.exhausted} ({done.connections_opened} connections were opened), "
            "so that requests that were due waited for it",
            fix=_MORE.get(done.exhausted, "lower the rate"),
        )
    else:
        yield from _find_late_sends(run)
        yield from _find_missing_sends(run)
    yield from _find_saturated_client(run, machine)
    yield from _find_broken_law(run)
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


def _find_late_sends(run: PacerRun) -> Iterator[Reason]:
    if run.plan.mode != "open":
        return
    response = SampleSeries(
        run.samples,
        lambda block: (block["phase"] == 0) & (block["outcome"] == Outcome.ANSWERED),
        lambda block: block["last_ns"] - block["intended_ns"],
    )
    allowed_ns = max(LATE_NS, int(LATE_SHARE_OF_MEDIAN * (find_quantile(response, 0.5) or 0)))
    sent = late = latest_ns = 0
    for block in read_blocks(run.samples):
        lags = measure_lags(block)
        sent += len(lags)
        late += int(np.count_nonzero(lags > allowed_ns))
        latest_ns = max(latest_ns, int(lags.max(initial=0)))
    if late > LATE_SENDS_ALLOWED * sent:
        yield Reason(
            code="late-sends",
            message=f"{late} of {sent} requests ({late / sent:.1%}) were sent over {allowed_ns / 1e6:.1f} ms late, "
            f"the latest {latest_ns / 1e6:.1f} ms; at most {LATE_SENDS_ALLOWED:.0%} were expected",
            fix=_QUIETER,
        )


def _find_missing_sends(run: PacerRun) -> Iterator[Reason]:
    unsent = sum(int(np.count_nonzero(block["outcome"] == Outcome.UNSENT)) for block in read_blocks(run.samples))
    unrecorded = run.done.scheduled - len(run.samples)
    if (unsent or unrecorded) and not run.done.stopped:
        yield Reason(
            code="missing-sends",
            message=f"of {run.done.scheduled} scheduled requests {unsent} were not sent and {unrecorded} left no record",
            fix=_QUIETER,
        )


def _find_saturated_client(run: PacerRun, machine: MachineUse) -> Iterator[Reason]:
    found = [*_find_lag(run), *_find_want_of_cpu(run, machine)]
    if found:
        yield Reason(code="client-saturated", message=f"the client could not measure: {'; '.join(found)}", fix=_QUIETER)


def _find_lag(run: PacerRun) -> Iterator[str]:
    lag_ns = sorted(run.done.loop_lag_ns)
    if len(lag_ns) < FEWEST_TICKS:
        return
    middle = lag_ns[len(lag_ns) // 2]
    stalls = sum(each > STALL_NS for each in lag_ns)
    if middle > LAG_NS:
        yield f"its loop was {middle / 1e6:.1f} ms behind in the median, {LAG_NS / 1e6:g} ms are allowed"
    elif stalls >= max(2, 0.01 * len(lag_ns)):
        yield (
            f"its loop came over {STALL_NS / 1e6:g} ms late {stalls} times in {len(lag_ns)}, by up to {lag_ns[-1] / 1e6:.0f} ms"
        )


def _find_want_of_cpu(run: PacerRun, machine: MachineUse) -> Iterator[str]:
    done = run.done
    whole_s = max(done.window_end_ns - done.start_ns, 1) / 1e9
    used_s = max(done.cpu_s - done.spun_s, 0.0)
    if used_s > BUSY_ALLOWED * whole_s:
        yield f"it worked {used_s / whole_s:.0%} of the time on its one CPU, {BUSY_ALLOWED:.0%} are allowed"
    # A process that spins is always ready to run, so it waits most while nothing is due: that part is left out.
    waited_s = (machine.client_waited_s or 0.0) * used_s / max(done.cpu_s, 1e-9)
    if waited_s > WAIT_ALLOWED * whole_s:
        yield f"it waited {waited_s / whole_s:.0%} of the time for a CPU, {WAIT_ALLOWED:.0%} are allowed"
    if (machine.steal_share or 0.0) > STEAL_ALLOWED:
        yield f"the hypervisor took {machine.steal_share:.0%} of the CPU time, {STEAL_ALLOWED:.0%} are allowed"


def _find_broken_law(run: PacerRun) -> Iterator[Reason]:
    """Compare the mean number in flight with rate times mean time (Little, Operations Research 9, 1961), sides counted apart.

    The gauge adds up as requests come and go; the records say the same as the sum of the stretches from send to end, of all
    requests however they ended, within the window. So cut they must agree in any run, stationary or not. A request that a
    stale connection lost is not in flight while another is opened, which is in the connecting times.
    """
    window = find_window(run)
    sent = recorded_ns = connecting_ns = 0
    for block in read_blocks(run.samples):
        each = block[block["sent_ns"] != NEVER]
        stretch = np.minimum(each["last_ns"], window.end_ns) - np.maximum(each["sent_ns"], window.begin_ns)
        sent += len(each)
        recorded_ns += int(np.maximum(stretch, 0).sum())
        connecting_ns += int(np.maximum(each["connect_ns"], 0).sum())
    counted_ns = run.done.in_flight_area_ns
    slack_ns = sent * GAUGE_STEP_NS + (connecting_ns if run.done.reasked else 0)
    if sent < FEWEST_FOR_LITTLES_LAW:
        return
    if abs(counted_ns - recorded_ns) > LITTLES_LAW_ALLOWED * recorded_ns + slack_ns:
        yield Reason(
            code="littles-law",
            message=f"a gauge counted {counted_ns / window.length_ns:.3f} requests in flight on average, rate times mean time of "
            f"the records gives {recorded_ns / window.length_ns:.3f}; at most {LITTLES_LAW_ALLOWED:.0%} between them is allowed",
            fix="report this with the samples: the client's records are not to be trusted",
        )
