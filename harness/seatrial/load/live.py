"""A run as it is seen while it is made: figures of the window so far, which the result's replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seatrial.load.histogram import Histogram
from seatrial.load.plan import Plan, Progress
from seatrial.load.samples import SUCCESSES, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a run stands; figures are of right or unjudged answers of the window, None in the warm-up."""

    elapsed_s: float
    left_s: float
    """Until the window ends, as it seems."""
    warming_up: bool
    sent: int
    in_flight: int
    failed: int
    rate: float | None = None
    """Answers a second."""
    p50_s: float | None = None
    p99_s: float | None = None
    note: str = ""

    def describe(self) -> str:
        """Return it as one line."""
        if self.warming_up:
            figures = f"warming up, {self.note}" if self.note else "warming up"
        else:
            times = (f"{name} {_show(value)}" for name, value in (("p50", self.p50_s), ("p99", self.p99_s)))
            figures = ", ".join([f"{self.rate or 0.0:.1f}/s", *times, f"{max(self.left_s, 0.0):.0f} s left"])
        return (
            f"[{self.elapsed_s:6.1f} s] {figures}; sent {self.sent}, in flight {self.in_flight}, failed {self.failed}"
        )


class LiveFigures:
    """Keeps a histogram of what comes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._times = Histogram()
        self._window_begin_s: float | None = None

    def add(self, progress: Progress, blocks: Sequence[Samples], note: str = "") -> Snapshot:
        """Take in samples that came since the last time."""
        for block in blocks:
            timed = block[(block["phase"] == 0) & np.isin(block["outcome"], SUCCESSES)]
            self._times.add(timed["last_ns"] - timed["intended_ns"])
        if self._window_begin_s is None and self._times.count:
            # The first answers of the window came in the last second.
            self._window_begin_s = max(0.0, progress.elapsed_s - 1.0)
        begin_s = self._window_begin_s
        waited_s = progress.elapsed_s - (self._plan.warm_up_s if begin_s is None else begin_s)
        p50, p99 = self._times.find_quantile(0.5), self._times.find_quantile(0.99)
        return Snapshot(
            elapsed_s=progress.elapsed_s,
            left_s=self._plan.duration_s - waited_s,
            warming_up=begin_s is None and progress.elapsed_s < self._plan.warm_up_s,
            sent=progress.sent,
            in_flight=progress.in_flight,
            failed=progress.failed,
            rate=None if begin_s is None else self._times.count / max(waited_s, 1.0),
            p50_s=None if p50 is None else p50 / 1e9,
            p99_s=None if p99 is None else p99 / 1e9,
            note=note,
        )


def _show(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.1f} ms"
