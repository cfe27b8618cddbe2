"""Response times of all requests, those that failed ranked above all that were answered right: what objectives are judged by."""

from __future__ import annotations

import numpy as np

from seatrial.load.blocks import SampleSeries
from seatrial.load.quantiles import FOREVER_NS, Times
from seatrial.load.samples import SUCCESSES, Samples


def rank_requests(samples: Samples) -> SampleSeries:
    """Return response times of all requests of the window, `FOREVER_NS` where it was not answered right; nanoseconds."""
    return SampleSeries(samples, lambda block: block["phase"] == 0, _read_times)


def rank_so_far(samples: Samples, due_ns: Times, until_ns: int) -> Times:
    """Return response times of all requests of the window that were due before a moment, in that order; nanoseconds.

    Those that failed or have no record yet are `FOREVER_NS`. To leave out those that are pending would leave out the slow
    ones. A pending one is rightly above a bound when the moment is as long ago as the bound.

    Args:
        samples: records so far.
        due_ns: intended sends of the whole window, ascending, on the clock of the records.
        until_ns: the moment.
    """
    due = due_ns[: np.searchsorted(due_ns, until_ns)]
    ended = samples[(samples["phase"] == 0) & (samples["intended_ns"] < until_ns)]
    ended = ended[np.argsort(ended["intended_ns"], kind="stable")]
    intended = ended["intended_ns"]
    # Requests that are due at the same nanosecond have places of their own.
    places = np.searchsorted(due, intended) + np.arange(len(intended)) - np.searchsorted(intended, intended)
    times = np.full(len(due), FOREVER_NS, np.int64)
    times[places] = _read_times(ended)
    return times


def _read_times(block: Samples) -> Times:
    right = np.isin(block["outcome"], SUCCESSES)
    return np.where(right, block["last_ns"] - block["intended_ns"], FOREVER_NS)
