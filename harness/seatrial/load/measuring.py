"""A run from its plan to its result: the pacer, the gauge of the machine beside it, the figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from seatrial.load.analysis import analyse
from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.driver import LEAD_S, Pacer, PacerRun
from seatrial.load.machine import MachineGauge
from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, DistinctAnswer, Plan, Progress
from seatrial.load.result import LoadResult
from seatrial.load.samples import read_samples
from seatrial.load.schedules import Schedule


def measure_load(
    plan: Plan,
    schedule: Schedule | None,
    *,
    directory: Path,
    requested: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LoadResult:
    """Run a plan in `directory`, which must be empty, and return its figures.

    Args:
        plan: what is sent, and where.
        schedule: of the timed window; None in a closed loop.
        directory: takes the samples.
        requested: requests a second that were asked for.
        on_progress: is told how far it is, each second.

    Raises:
        UnconnectedError: no connection could be made to begin with.
        HarnessError: the pacer broke.
    """
    offsets = None if schedule is None else prepend_warm_up(schedule.offsets_ns, plan)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    with Pacer(plan, offsets, directory) as pacer:
        ready = pacer.wait_ready()
        with MachineGauge(ready.pid) as machine:
            done = pacer.run(time.monotonic_ns() + int(LEAD_S * SECOND_NS), on_progress)
    lines = (directory / ANSWERS_FILE).read_bytes().splitlines()
    answers = tuple(msgspec.json.decode(line, type=DistinctAnswer) for line in lines)
    samples = read_samples(directory / SAMPLES_FILE)
    return analyse(
        PacerRun(plan=plan, ready=ready, done=done, samples=samples, answers=answers),
        arrivals=schedule.arrivals if schedule else f"{plan.users} users, think time {plan.think_s:g} s",
        seed=schedule.seed if schedule else 0,
        requested=requested,
        scheduled=schedule.rate if schedule else None,
        machine=machine.use,
        started_at=started_at,
    )


def prepend_warm_up(offsets_ns: Offsets, plan: Plan) -> Offsets:
    """Return the schedule after a warm-up at its mean rate, evenly spaced: what the law draws belongs to the window alone."""
    warm_up_ns = int(plan.warm_up_s * SECOND_NS)
    count = int(len(offsets_ns) * plan.warm_up_s / plan.duration_s)
    if not count:
        return offsets_ns + warm_up_ns
    before = np.arange(count, dtype=np.int64) * (warm_up_ns // count)
    return np.concatenate([before, offsets_ns + warm_up_ns])
