"""Times of all requests, those that failed ranked above all that were answered right: what quantiles and objectives are of.

A failure improves no quantile so: whenever it came, its request counts as one that was not answered yet when all others were. To
leave failures out would have a server that gives slow requests up look quicker than one that answers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries
from seatrial.load.quantiles import FOREVER_NS, Times
from seatrial.load.samples import SUCCESSES, Outcome, Samples

Begin = Literal["intended_ns", "sent_ns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesSoFar:
    """Response times in the order of the sends, nanoseconds; what a pending request will have taken lies between both."""

    least: Times
    """Of a pending one how long it has been pending."""
    most: Times
    """Of a pending one `FOREVER_NS`, as of one that failed."""


def is_ranked(block: Samples) -> npt.NDArray[np.bool_]:
    """Return which requests have a rank: those of the window.

    Not those that the client never sent. They make a run no measurement, unless somebody stops it, whose figures so far are then
    of what was sent.
    """
    chosen: npt.NDArray[np.bool_] = (block["phase"] == 0) & (block["outcome"] != Outcome.UNSENT)
    return chosen


def rank_times(block: Samples, begin: Begin = "intended_ns") -> Times:
    """Return how long each request took from then on, `FOREVER_NS` where it was not answered right; nanoseconds."""
    right = np.isin(block["outcome"], SUCCESSES)
    return np.where(right, block["last_ns"] - block[begin], FOREVER_NS)


def rank_requests(samples: Samples) -> SampleSeries:
    """Return response times of all requests of the window, `FOREVER_NS` where it was not answered right; nanoseconds."""
    return SampleSeries(samples, lambda block: block["phase"] == 0, rank_times)


def rank_so_far(intended_ns: Times, times: Times, due_ns: Times, *, until_ns: int, seen_ns: int) -> TimesSoFar:
    """Return response times of all requests of the window that were due before a moment.

    To leave out those that are pending would leave out the slow ones.

    Args:
        intended_ns: when the requests of the window that have ended were due, in any order.
        times: of each of these (`rank_times`).
        due_ns: intended sends of the whole window, ascending, on the clock of the records.
        until_ns: the moment.
        seen_ns: what has no record had not ended by then.
    """
    due = due_ns[: np.searchsorted(due_ns, until_ns)]
    chosen = np.flatnonzero(intended_ns < until_ns)
    chosen = chosen[np.argsort(intended_ns[chosen], kind="stable")]
    intended = intended_ns[chosen]
    # Requests that are due at the same nanosecond have places of their own.
    places = np.searchsorted(due, intended) + np.arange(len(intended)) - np.searchsorted(intended, intended)
    least, most = seen_ns - due, np.full(len(due), FOREVER_NS, np.int64)
    least[places] = most[places] = times[chosen]
    return TimesSoFar(least=least, most=most)
