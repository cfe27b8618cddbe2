"""A warm-up that lasts until response times are level on every worker: what one finds of its own, and what all say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seatrial.load.arrivals import Offsets
from seatrial.load.conducting import judge_so_far
from seatrial.load.samples import SAMPLE, Samples
from seatrial.load.stationarity import WarmUpLimits, WarmUpVerdict


class WarmUpWatch:
    """Judges one worker's samples as they come. Once its warm-up is over it is not asked again, like that of one pacer alone.

    Args:
        limits: how long it may take.
        start_ns: of the warm-up, CLOCK_MONOTONIC.

    Attributes:
        verdict: the last one; None before the first.
    """

    def __init__(self, limits: WarmUpLimits, start_ns: int) -> None:
        self.verdict: WarmUpVerdict | None = None
        self._limits = limits
        self._start_ns = start_ns
        self._seen = np.empty(0, SAMPLE)

    def look(self, blocks: Sequence[Samples], elapsed_s: float) -> None:
        """Take in what came since the last look, and judge."""
        if self.verdict is not None and self.verdict.over:
            return
        self._seen = np.concatenate([self._seen, *blocks])
        self.verdict = judge_so_far(self._seen, start_ns=self._start_ns, elapsed_s=elapsed_s, limits=self._limits)
        if self.verdict.over:
            self._seen = np.empty(0, SAMPLE)


def lay_out(warm_up_ns: Offsets, offsets_ns: Offsets, window_ns: int) -> Offsets:
    """Return when everything is due after the start: what comes of the warm-up before the window, then the window's schedule."""
    return np.concatenate([warm_up_ns[warm_up_ns < window_ns], offsets_ns + window_ns])


def describe_warm_up(verdicts: Mapping[str, WarmUpVerdict | None]) -> str:
    """Return how far the warm-up is, by the workers' names: what the first says whose times are not level yet."""
    waiting = {name: verdict for name, verdict in verdicts.items() if verdict is None or not verdict.over}
    name, verdict = next(iter((waiting or verdicts).items()))
    if verdict is None:
        return ""
    if len(verdicts) == 1:
        return verdict.message
    return f"{len(verdicts) - len(waiting)} of {len(verdicts)} workers level, {name}: {verdict.message}"
