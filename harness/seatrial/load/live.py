"""A run as it is seen while it is made: figures of the window so far, which the result's replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seatrial.load.histogram import Histogram
from seatrial.load.plan import Plan, Progress
from seatrial.load.ranking import is_ranked, rank_times
from seatrial.load.samples import Samples

Phase = Literal["warm-up", "window", "drain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a run stands; times are of requests of the window, None in the warm-up.

    Failures rank above all answers, as in the result; an answer that nobody has judged yet is no failure.
    """

    elapsed_s: float
    left_s: float
    """Until the window ends, at most; 0 in the drain."""
    phase: Phase
    share: float
    """Of the phase that is over, 0 to 1; of a warm-up that may end early, of the longest it may be."""
    sent: int
    in_flight: int
    failed: int
    rate: float | None = None
    """Answers a second, without failures."""
    p50_s: float | None = None
    p99_s: float | None = None
    note: str = ""


class LiveFigures:
    """Keeps a histogram of what comes, and where the run stands.

    Args:
        plan: of the run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._times = Histogram()
        self._window_begin_s: float | None = None

    def add(self, progress: Progress, blocks: Sequence[Samples], note: str = "") -> Snapshot:
        """Take in samples that came since the last time."""
        for block in blocks:
            self._times.add(rank_times(block)[is_ranked(block)])
        return self.describe(progress, self._times, note)

    def describe(self, progress: Progress, times: Histogram, note: str = "") -> Snapshot:
        """Return where the run stands, by times of the window that are kept elsewhere; those of failures are beyond."""
        plan, elapsed_s = self._plan, progress.elapsed_s
        if self._window_begin_s is None and times.count:
            # The first requests of the window ended in the last second.
            self._window_begin_s = max(0.0, elapsed_s - 1.0)
        begin_s = self._window_begin_s
        in_window_s = elapsed_s - (plan.warm_up_s if begin_s is None else begin_s)
        left_s = max(plan.duration_s - in_window_s, 0.0)
        phase: Phase = "window" if left_s > 0 else "drain"
        share = in_window_s / plan.duration_s
        if begin_s is None and elapsed_s < plan.warm_up_s:
            phase, share = "warm-up", elapsed_s / plan.warm_up_s
        answered = times.count - times.beyond
        p50, p99 = times.find_quantile(0.5), times.find_quantile(0.99)
        return Snapshot(
            elapsed_s=elapsed_s,
            left_s=left_s,
            phase=phase,
            share=min(max(share, 0.0), 1.0),
            sent=progress.sent,
            in_flight=progress.in_flight,
            failed=progress.failed,
            rate=None if begin_s is None else answered / max(min(in_window_s, plan.duration_s), 1.0),
            p50_s=None if p50 is None else p50 / 1e9,
            p99_s=None if p99 is None else p99 / 1e9,
            note=note,
        )
