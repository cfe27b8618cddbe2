"""Whether the server kept up with an open loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import Choice, SampleSeries, read_blocks
from seatrial.load.driver import PacerRun
from seatrial.load.ranking import Begin
from seatrial.load.result import Reason
from seatrial.load.samples import NEVER, Outcome, Samples
from seatrial.load.window import Window, find_window

FEWEST_REQUESTS: Final = 100
GROWTH_ALLOWED: Final = 0.02
BACKLOG_ALLOWED: Final = 1.25
SLOWER_ALLOWED: Final = 2.0
LOST_ALLOWED: Final = 0.05
_PLACES: Final = 2000
_HALF, _LATE = _PLACES // 2, 3 * _PLACES // 4
_LOST = (int(Outcome.CENSORED), int(Outcome.TIMED_OUT))

Counts = npt.NDArray[np.int64]


def find_saturation(run: PacerRun) -> tuple[Reason, ...]:
    """Return why the server could not keep up with a schedule; empty when it did, and when there are under 100 requests.

    Either of two shows it. **It falls behind**: the backlog (requests due and not ended) grew over the window's second half by
    more than 2 % of the requests due then, and did not come down, in the last quarter, to 1.25 times its mean over the first
    half, and requests of the last tenth took, in the median, more than twice as long as those of the first. A stall that is
    made up for fails the second of these, long answers in parallel and a rising rate the third, a server that turns slower once
    and keeps up the first. **It gives up**: over 5 % of the requests of the last quarter got no answer in the time they had.
    """
    if run.plan.mode != "open":
        return ()
    found = tuple(_list_signs(run.samples, find_window(run)))
    if not found:
        return ()
    return (
        Reason(
            code="saturated",
            message=f"the server could not keep up: {'; '.join(found)}",
            fix="lower the rate, or give the server more: these figures are those of an overload",
        ),
    )


def slows_down(run: PacerRun) -> bool:
    """Whether requests took over twice as long, once sent, at the end as while a quarter of the connections sufficed.

    Where every connection is taken it tells a server that falls behind from one that takes its time, whoever asks: of that one
    the client has too few.
    """
    sends = SampleSeries(run.samples, _was_sent, lambda block: block["sent_ns"])
    if sends.count < FEWEST_REQUESTS:
        return False
    sufficed = min(max(run.plan.max_connections // 4, 1), sends.count)
    first_until_ns, last_from_ns = sends.select((sufficed - 1, sends.count - 1 - (sends.count - 1) // 10))
    at_first = _median(run.samples, lambda block: _was_sent(block) & (block["sent_ns"] <= first_until_ns), "sent_ns")
    at_last = _median(run.samples, lambda block: _was_sent(block) & (block["sent_ns"] >= last_from_ns), "sent_ns")
    return at_last > SLOWER_ALLOWED * at_first


def _was_sent(block: Samples) -> npt.NDArray[np.bool_]:
    sent: npt.NDArray[np.bool_] = block["sent_ns"] != NEVER
    return sent


def _list_signs(samples: Samples, window: Window) -> Iterator[str]:
    due, ended, lost = _follow(samples, window)
    if due[-1] < FEWEST_REQUESTS:
        return
    late = int(due[-1] - due[_LATE])
    if lost > LOST_ALLOWED * late:
        yield f"{lost} of the last {late} requests got no answer in time"
    backlog = due - ended
    earlier, lowest = float(backlog[:_HALF].mean()), int(backlog[_LATE:].min())
    grew = backlog[-1] - backlog[_HALF] > GROWTH_ALLOWED * (due[-1] - due[_HALF])
    if not grew or lowest <= BACKLOG_ALLOWED * earlier:
        return
    first, final = _median_time(samples, window, 0.0, 0.1), _median_time(samples, window, 0.9, 1.0)
    if final > SLOWER_ALLOWED * first:
        yield (
            f"requests that waited or were in work grew from {earlier:.0f} on average in the first half to {backlog[-1]} at the "
            f"end, and took {final / 1e6:.1f} ms then, {first / 1e6:.1f} ms at first"
        )


def _follow(samples: Samples, window: Window) -> tuple[Counts, Counts, int]:
    """Return how many were due and how many had ended by evenly spaced times, both of shape (2001,), and how many of the last
    quarter were lost.
    """
    places = window.begin_ns + np.arange(_PLACES + 1, dtype=np.int64) * window.length_ns // _PLACES
    due, ended, lost = np.zeros(_PLACES + 2, np.int64), np.zeros(_PLACES + 2, np.int64), 0
    for block in read_blocks(samples):
        timed = block[block["phase"] == 0]
        due += np.bincount(np.searchsorted(places, timed["intended_ns"]), minlength=_PLACES + 2)
        ended += np.bincount(np.searchsorted(places, timed["last_ns"]), minlength=_PLACES + 2)
        is_late = timed["intended_ns"] > places[_LATE]
        lost += int(np.count_nonzero(is_late & np.isin(timed["outcome"], _LOST)))
    return np.cumsum(due)[:-1], np.cumsum(ended)[:-1], lost


def _median_time(samples: Samples, window: Window, begin: float, end: float) -> float:
    """Return the median of what requests due in a part of the window took, however they ended; nanoseconds."""
    begin_ns, end_ns = window.at(begin), window.at(end)
    return _median(
        samples,
        lambda block: (block["phase"] == 0) & (block["intended_ns"] >= begin_ns) & (block["intended_ns"] < end_ns),
        "intended_ns",
    )


def _median(samples: Samples, choose: Choice, begin: Begin) -> float:
    """Return the median of what chosen requests took from then on, however they ended; nanoseconds, 0 of none."""
    took = SampleSeries(samples, choose, lambda block: block["last_ns"] - block[begin])
    middle = ((took.count - 1) // 2, took.count // 2)
    return sum(took.select(middle)) / 2 if took.count else 0.0
