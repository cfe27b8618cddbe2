"""Whether a gauge of requests in flight and the records agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries, read_blocks
from seatrial.load.driver import PacerRun
from seatrial.load.lateness import is_sent, read_lags
from seatrial.load.machine import MachineUse
from seatrial.load.quantiles import find_quantile
from seatrial.load.result import Reason
from seatrial.load.samples import NEVER, Samples
from seatrial.load.window import find_window

ALLOWED: Final = 0.05
FEWEST_REQUESTS: Final = 100
STEP_NS: Final = 10_000
"""What gauge and record differ by for one request at least: they are read some instructions apart."""


def find_broken_law(run: PacerRun, machine: MachineUse) -> Iterator[Reason]:
    """Compare the mean number in flight with rate times mean time (Little, Operations Research 9, 1961), sides counted apart.

    The gauge adds up as requests come and go; the records say the same as the sum of the stretches from send to end, of all
    requests however they ended, within the window. So cut they must agree in any run, stationary or not. A request that a
    stale connection lost is not in flight while another is opened, which is in the connecting times. How long some
    instructions take, from the one reading to the other, the run itself tells: see `_measure_step`.
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
    unexplained_ns = abs(counted_ns - recorded_ns) - ALLOWED * recorded_ns - (connecting_ns if run.done.reasked else 0)
    if sent < FEWEST_REQUESTS or unexplained_ns <= sent * STEP_NS:
        return
    step_ns = _measure_step(run, machine)
    if unexplained_ns > sent * step_ns:
        yield Reason(
            code="littles-law",
            message=f"a gauge counted {counted_ns / window.length_ns:.3f} requests in flight on average, rate times mean time of "
            f"the records gives {recorded_ns / window.length_ns:.3f}; at most {ALLOWED:.0%} between them is allowed, and "
            f"{step_ns / 1e3:.0f} us a request",
            fix="report this with the samples: the client's records are not to be trusted",
        )


def _measure_step(run: PacerRun, machine: MachineUse) -> float:
    """Return how far apart gauge and record of a request may be read on this machine, nanoseconds.

    Two more pairs of readings that lie some instructions apart are in the records: a request is due, and it is sent; the first
    byte of its answer is read, and the last. Either is longer where more comes between (a loop that is late, an answer in
    pieces), so the one that is shorter in the median tells how quick the client is, with cold caches and a slow CPU. Where it
    waits for a CPU all that takes as much longer, which a median does not see. With the 10 us that are allowed in any case
    it came to at least 1.4 times the mean of the true steps, which were 5 to 30 us, in 18 runs of 100 to 2,000 requests a second
    and of 4 users, on two CPUs that were idle or wanted by two or four more processes.
    """
    lag = SampleSeries(run.samples, is_sent, read_lags)
    reading = SampleSeries(run.samples, _is_read, lambda block: block["last_ns"] - block["first_ns"])
    step_ns = STEP_NS + min(find_quantile(lag, 0.5) or 0, find_quantile(reading, 0.5) or 0)
    return step_ns * (1 + (machine.client_waited_s or 0.0) / max(run.done.window_cpu_s, 1e-9))


def _is_read(block: Samples) -> npt.NDArray[np.bool_]:
    chosen: npt.NDArray[np.bool_] = is_sent(block) & (block["first_ns"] != NEVER)
    return chosen
