"""Watches a run while it is made: its window begins when response times are level, and ends when enough is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.driver import Pacer
from seatrial.load.plan import Plan, Progress
from seatrial.load.quantiles import Times
from seatrial.load.ranking import rank_so_far, rank_times
from seatrial.load.samples import NEVER, Samples
from seatrial.load.stationarity import WarmUpLimits, WarmUpVerdict
from seatrial.load.stopping import CONFIDENCE, StopRule, StopVerdict, judge_stop, plan_looks
from seatrial.load.warming import WarmUpWatch

NOTICE_NS: Final = 100_000_000
"""Between the order that begins the window and its beginning: it must have arrived by then."""
SETTLED_NS: Final = 500_000_000
"""What was due within so short a time may well be pending, and would leave open what is asked."""
MOST_SEEN: Final = 500_000
"""Requests of an open loop by which it may end early: they are kept, and put in order at each look. What so many leave open, a
bound that is nearly met or an error rate of a few in a million, the time limit ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What decides about the window.

    Args:
        warm_up: until when it may wait for times to be level; None: it begins when the plan says.
        stop: what must be known for it to end early; None: it ends when the plan says. Of an open loop only: where each user
            waits for an answer it is not known which are due.
    """

    warm_up: WarmUpLimits | None = None
    stop: StopRule | None = None


class Conductor:
    """Takes in samples as they come, and gives the pacer its orders.

    Args:
        conduct: what decides.
        plan: of the run.
        offsets_ns: open loop: sends of the window, from its beginning.
        start_ns: of the warm-up.

    Attributes:
        begin_ns: when the window begins or began, CLOCK_MONOTONIC; `NEVER` while nobody knows.
        stop: the last word on stopping; None when there was none.
    """

    def __init__(self, conduct: Conduct, plan: Plan, offsets_ns: Offsets | None, start_ns: int) -> None:
        self.stop: StopVerdict | None = None
        self._conduct = conduct
        self._offsets_ns = offsets_ns
        self._start_ns = start_ns
        self._watch = None if conduct.warm_up is None else WarmUpWatch(conduct.warm_up, start_ns)
        self.begin_ns = NEVER if conduct.warm_up is not None else start_ns + int(plan.warm_up_s * SECOND_NS)
        # Laid down before the window, so that no look is chosen by what was seen. At the last there is nothing to stop any more.
        self._looks_s = _choose_looks(plan.duration_s, offsets_ns)
        self._look = 0
        # Of what the window has seen, when it was due and how long it took: a quarter of a record.
        self._seen: list[tuple[Times, Times]] = []

    @property
    def warm_up(self) -> WarmUpVerdict | None:
        """What the warm-up came to; None when nobody asked."""
        return self._watch.verdict if self._watch else None

    def look(self, pacer: Pacer, progress: Progress, blocks: Sequence[Samples]) -> None:
        """Take in what came since the last look, and decide. Samples that nothing is decided by any more are not kept."""
        if self._watch is not None and not self._watch.is_over:
            if self._watch.look(blocks, progress.elapsed_s).over:
                self.begin_ns = time.monotonic_ns() + NOTICE_NS
                pacer.begin_window(self.begin_ns)
            return
        if self._watch is not None:
            # The pacer's word: where the order came late the window begins later.
            self.begin_ns = progress.window_begin_ns
        if self._conduct.stop is not None and self._offsets_ns is not None and self._may_end():
            for block in blocks:
                timed = block[block["phase"] == 0]
                self._seen.append((timed["intended_ns"].copy(), rank_times(timed)))
            # Not the present time: what has ended since the pacer wrote its records looks pending.
            seen_ns = self._start_ns + int(progress.elapsed_s * SECOND_NS)
            self._judge_stop(pacer, self._conduct.stop, self._offsets_ns, seen_ns)

    def conclude(self) -> None:
        """Say, where the window did not end early though it might have, that it ended at its time limit."""
        may_stop = self._conduct.stop is not None and self._offsets_ns is not None
        if may_stop and not (self.stop and self.stop.stop):
            known = (
                self.stop.message
                if self.stop
                else "nothing was looked at before, for it was short, or too much was due"
            )
            message = f"the time limit was reached: {known}"
            self.stop = StopVerdict(why="limit", confidence=CONFIDENCE, message=message)

    def _may_end(self) -> bool:
        return self._look < len(self._looks_s) - 1 and not (self.stop and self.stop.stop)

    def _judge_stop(self, pacer: Pacer, rule: StopRule, offsets_ns: Offsets, seen_ns: int) -> None:
        bounds_ms = [each.bound_ms for each in rule.quantiles if each.bound_ms is not None]
        settled_ns = max([SETTLED_NS, *(int(bound_ms * 1e6) for bound_ms in bounds_ms)])
        into_ns = int(self._looks_s[self._look] * SECOND_NS)
        until_ns = self.begin_ns + into_ns
        if seen_ns - settled_ns < until_ns:
            return
        self._seen = [_join(self._seen)]
        due_ns = offsets_ns[: np.searchsorted(offsets_ns, into_ns)] + self.begin_ns
        times = rank_so_far(*self._seen[0], due_ns, until_ns=until_ns, seen_ns=seen_ns)
        self.stop = judge_stop(times.least, rule, look=self._look, looks=len(self._looks_s), most=times.most)
        self._look += 1
        if self.stop.stop:
            pacer.end_window()
        if not self._may_end():
            self._seen = []


def _choose_looks(duration_s: float, offsets_ns: Offsets | None) -> tuple[float, ...]:
    """Return when to look, the last at the time limit: where more than `MOST_SEEN` would be due by then, not before it."""
    *early_s, limit_s = plan_looks(duration_s)
    if offsets_ns is None:
        return (*early_s, limit_s)
    due = np.searchsorted(offsets_ns, np.array(early_s) * SECOND_NS)
    return (*(each_s for each_s, count in zip(early_s, due.tolist(), strict=True) if count <= MOST_SEEN), limit_s)


def _join(seen: Sequence[tuple[Times, Times]]) -> tuple[Times, Times]:
    none = np.empty(0, np.int64)
    return np.concatenate([none, *(due for due, _ in seen)]), np.concatenate([none, *(times for _, times in seen)])
