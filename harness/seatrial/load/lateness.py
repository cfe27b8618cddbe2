"""How late requests were sent, by the client's doing alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries, read_blocks
from seatrial.load.driver import PacerRun
from seatrial.load.quantiles import Times, find_quantile
from seatrial.load.result import Reason
from seatrial.load.samples import NEVER, Outcome, Samples

LATE_NS: Final = 1_000_000
LATE_SHARE_OF_MEDIAN: Final = 0.05
LATE_SENDS_ALLOWED: Final = 0.01
QUIETER: Final = "run the client on a quieter machine or on a CPU of its own, lower the rate, or use more workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Sends of the window of an open loop, and how many of them came late; nanoseconds."""

    sent: int
    late: int
    latest_ns: int
    allowed_ns: int

    @property
    def share(self) -> float:
        """Of all sends, those that came late."""
        return self.late / max(self.sent, 1)


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


def measure_lateness(run: PacerRun) -> Lateness | None:
    """Return how many sends came later than the larger of 1 ms and 5 % of the median response time; None in a closed loop."""
    if run.plan.mode != "open":
        return None
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
    return Lateness(sent=sent, late=late, latest_ns=latest_ns, allowed_ns=allowed_ns)


def find_late_sends(found: Lateness | None) -> Iterator[Reason]:
    """Return that too many came late, if so."""
    if found is not None and found.share > LATE_SENDS_ALLOWED:
        yield Reason(
            code="late-sends",
            message=f"{found.late} of {found.sent} requests ({found.share:.1%}) were sent over {found.allowed_ns / 1e6:.1f} ms "
            f"late, the latest {found.latest_ns / 1e6:.1f} ms; at most {LATE_SENDS_ALLOWED:.0%} were expected",
            fix=QUIETER,
        )
