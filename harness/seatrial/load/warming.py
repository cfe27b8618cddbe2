"""A warm-up that lasts until response times are level, judged by its samples as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from seatrial.load.samples import SAMPLE, Samples
from seatrial.load.stationarity import WarmUpLimits, WarmUpVerdict, judge_warm_up

MOST_SEEN: Final = 1 << 18
"""Samples that are held and judged: 16 MB of them. Of more a part is taken by chance, the same of all times."""


class WarmUpWatch:
    """Judges the samples of one pacer. Once its warm-up is over it is not asked again, and holds none.

    Args:
        limits: how long it may take.
        start_ns: of the warm-up, CLOCK_MONOTONIC.
        most_seen: samples that may be held.

    Attributes:
        verdict: the last one; None before the first.
    """

    def __init__(self, limits: WarmUpLimits, start_ns: int, most_seen: int = MOST_SEEN) -> None:
        self.verdict: WarmUpVerdict | None = None
        self._limits = limits
        self._start_ns = start_ns
        self._most_seen = most_seen
        self._seen = np.empty(0, SAMPLE)
        self._share = 1.0
        self._chance = np.random.default_rng(1)

    @property
    def is_over(self) -> bool:
        """Whether the window may begin."""
        return self.verdict is not None and self.verdict.over

    @property
    def held(self) -> int:
        """How many samples are held."""
        return len(self._seen)

    def look(self, blocks: Sequence[Samples], elapsed_s: float) -> WarmUpVerdict:
        """Take in what came since the last look, judge, and return the verdict."""
        if self.verdict is not None and self.verdict.over:
            return self.verdict
        self._seen = np.concatenate([self._seen, *(self._thin(block, self._share) for block in blocks)])
        while len(self._seen) > self._most_seen:
            self._seen = self._thin(self._seen, 0.5)
            self._share /= 2
        # Of a run that is stopped, what was never due ends as well, before its time.
        due = self._seen[self._seen["last_ns"] >= self._seen["intended_ns"]]
        self.verdict = verdict = judge_warm_up(
            due["last_ns"] - self._start_ns,
            due["last_ns"] - due["intended_ns"],
            elapsed_s=elapsed_s,
            limits=self._limits,
        )
        if verdict.over:
            self._seen = np.empty(0, SAMPLE)
        return verdict

    def _thin(self, samples: Samples, share: float) -> Samples:
        # By chance, for cases are asked in turn: each second sample would be of half of them.
        return samples if share == 1.0 else samples[self._chance.random(len(samples)) < share]
