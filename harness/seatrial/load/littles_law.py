"""Whether a gauge of requests in flight and the records agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries, read_blocks
from seatrial.load.driver import PacerRun
from seatrial.load.lateness import is_sent, read_lags
from seatrial.load.quantiles import find_quantile
from seatrial.load.result import Reason
from seatrial.load.samples import NEVER, Samples
from seatrial.load.window import find_window

ALLOWED: Final = 0.05
FEWEST_REQUESTS: Final = 100
STEP_NS: Final = 10_000
"""What gauge and record differ by for one request at least: they are read some instructions apart."""


def find_broken_law(run: PacerRun) -> Iterator[Reason]:
    """Compare the mean number in flight with rate times mean time (Little, Operations Research 9, 1961), sides counted apart.

    The gauge adds up as requests come and go; the records say the same as the sum of the stretches from send to end, of all
    requests however they ended, within the window. So cut they must agree in any run, stationary or not. A request that a
    stale connection lost is not in flight while another is opened: see `_bound_reopening`. How long some instructions take, from
    the one reading to the other, the run itself tells: see `_measure_step`.
    """
    window = find_window(run)
    sent = recorded_ns = 0
    for block in read_blocks(run.samples):
        each = block[block["sent_ns"] != NEVER]
        stretch = np.minimum(each["last_ns"], window.end_ns) - np.maximum(each["sent_ns"], window.begin_ns)
        sent += len(each)
        recorded_ns += int(np.maximum(stretch, 0).sum())
    counted_ns = run.done.in_flight_area_ns
    unexplained_ns = abs(counted_ns - recorded_ns) - ALLOWED * recorded_ns - _bound_reopening(run)
    if sent < FEWEST_REQUESTS or unexplained_ns <= sent * STEP_NS:
        return
    step_ns = _measure_step(run)
    if unexplained_ns > sent * step_ns:
        yield Reason(
            code="littles-law",
            message=f"a gauge counted {counted_ns / window.length_ns:.3f} requests in flight on average, rate times mean time of "
            f"the records gives {recorded_ns / window.length_ns:.3f}; at most {ALLOWED:.0%} between them is allowed, and "
            f"{step_ns / 1e3:.0f} us a request",
            fix="report this with the samples: the client's records are not to be trusted",
        )


def _bound_reopening(run: PacerRun) -> int:
    """Return for how long at most connections were opened for requests that a stale one had lost, nanoseconds.

    How many these were is known, and not which: such a connection was opened after its request was sent first, so it is at most
    as many of the longest times among those that fit between a request's send and its end.
    """
    if not run.done.reasked:
        return 0
    opening = SampleSeries(run.samples, _may_be_reasked, lambda block: block["connect_ns"])
    count = min(run.done.reasked, opening.count)
    if not count:
        return 0
    (shortest_ns,) = opening.select([opening.count - count])
    longer = [block[block > shortest_ns] for block in opening.read()]
    return sum(int(each.sum()) for each in longer) + (count - sum(len(each) for each in longer)) * shortest_ns


def _measure_step(run: PacerRun) -> float:
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
    return step_ns * (1 + (run.done.window_waited_s or 0.0) / max(run.done.window_cpu_s, 1e-9))


def _may_be_reasked(block: Samples) -> npt.NDArray[np.bool_]:
    chosen: npt.NDArray[np.bool_] = (
        (block["sent_ns"] != NEVER)
        & (block["connect_ns"] != NEVER)
        & (block["connect_ns"] <= block["last_ns"] - block["sent_ns"])
    )
    return chosen


def _is_read(block: Samples) -> npt.NDArray[np.bool_]:
    chosen: npt.NDArray[np.bool_] = is_sent(block) & (block["first_ns"] != NEVER)
    return chosen
