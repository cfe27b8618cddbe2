"""A run from its plan to its result: the pacer, the gauge of the machine beside it, the answers checked, the figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np

from seatrial.load.analysis import analyse
from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.checking import check_answers
from seatrial.load.driver import LEAD_S, Pacer, PacerRun, read_answers
from seatrial.load.machine import MachineGauge
from seatrial.load.plan import SAMPLES_FILE, Plan, Progress
from seatrial.load.questions import Questions
from seatrial.load.result import LoadResult
from seatrial.load.samples import read_samples
from seatrial.load.schedules import Schedule

RENEWED_WITHIN: Final = 120
"""Progress reports, a second apart, in which every signature is renewed: they hold for five minutes."""


def measure_load(
    plan: Plan,
    schedule: Schedule | None,
    *,
    directory: Path,
    questions: Questions | None = None,
    requested: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LoadResult:
    """Run a plan in `directory`, which must be empty, and return its figures.

    Args:
        plan: what is sent, and where.
        schedule: of the timed window; None in a closed loop.
        directory: takes the samples.
        questions: golden cases to ask and to hold every answer against; without them the plan's own requests are sent.
        requested: requests a second that were asked for.
        on_progress: is told how far it is, each second.

    Raises:
        UnconnectedError: no connection could be made to begin with.
        HarnessError: the pacer broke.
        UsageError: the questions' endpoint may not be loaded.
    """
    asked = plan if questions is None else questions.fill(plan)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    offsets, warm_up = (None, None) if schedule is None else (schedule.offsets_ns, space_warm_up(schedule, plan))
    with Pacer(asked, offsets, directory, warm_up_ns=warm_up) as pacer:
        ready = pacer.wait_ready()
        renewal = _Renewal(pacer, questions)

        def follow(progress: Progress) -> None:
            renewal.go_on()
            on_progress(progress)

        with MachineGauge(ready.pid) as machine:
            done = pacer.run(time.monotonic_ns() + int(LEAD_S * SECOND_NS), follow)
    samples_path = directory / SAMPLES_FILE
    checked = None if questions is None else check_answers(samples_path, read_answers(directory), questions.judge)
    return analyse(
        PacerRun(plan=asked, ready=ready, done=done, samples=read_samples(samples_path)),
        arrivals=schedule.arrivals if schedule else f"{plan.users} users, think time {plan.think_s:g} s",
        seed=schedule.seed if schedule else 0,
        requested=requested,
        scheduled=schedule.rate if schedule else None,
        machine=machine.use,
        checked=checked,
        started_at=started_at,
    )


def space_warm_up(schedule: Schedule, plan: Plan) -> Offsets:
    """Return the sends of the warm-up: evenly spaced at the schedule's mean rate, for what the law draws is the window's."""
    count = int(schedule.rate * plan.warm_up_s)
    return np.arange(count, dtype=np.int64) * int(plan.warm_up_s * SECOND_NS) // max(count, 1)


class _Renewal:
    """Signs requests anew, some a second, so that none runs out and the pacer never has many to read at once."""

    def __init__(self, pacer: Pacer, questions: Questions | None) -> None:
        self._pacer = pacer
        self._questions = questions if questions is not None and questions.expires else None
        self._next = 0

    def go_on(self) -> None:
        if self._questions is None:
            return
        count = len(self._questions.cases)
        for _ in range(ceil(count / RENEWED_WITHIN)):
            self._pacer.renew(self._next, self._questions.write_request(self._next))
            self._next = (self._next + 1) % count
