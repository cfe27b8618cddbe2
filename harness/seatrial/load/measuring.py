"""A run from its plan to its result: the pacer, the gauge of the machine beside it, the answers checked, the figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from seatrial.load.analysis import analyse
from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.checking import check_answers
from seatrial.load.conducting import Conduct, Conductor
from seatrial.load.driver import LEAD_S, Pacer, PacerRun, read_answers
from seatrial.load.judging import judge
from seatrial.load.live import LiveFigures, Snapshot
from seatrial.load.machine import MachineGauge
from seatrial.load.objectives import Objectives
from seatrial.load.plan import SAMPLES_FILE, Plan, Progress
from seatrial.load.questions import Questions
from seatrial.load.ranking import rank_requests
from seatrial.load.renewal import Renewal
from seatrial.load.result import LoadResult
from seatrial.load.samples import NEVER, read_samples
from seatrial.load.schedules import Schedule
from seatrial.load.stationarity import WarmUpLimits
from seatrial.load.stopping import CONFIDENCE
from seatrial.load.tailing import SamplesTail

WARM_UP_SLACK_S: Final = 5.0
"""Beyond the longest warm-up: the order that ends it may come late."""


def measure_load(
    plan: Plan,
    schedule: Schedule | None,
    *,
    directory: Path,
    questions: Questions | None = None,
    conduct: Conduct | None = None,
    objectives: Objectives | None = None,
    requested: float | None = None,
    on_progress: Callable[[Snapshot], None] = lambda _: None,
) -> LoadResult:
    """Run a plan in `directory`, which must be empty, and return its figures.

    Args:
        plan: what is sent, and where.
        schedule: of the timed window; None in a closed loop.
        directory: takes the samples.
        questions: golden cases to ask and to hold every answer against; without them the plan's own requests are sent.
        conduct: decides when the window begins and ends; None: the plan does.
        objectives: what the run is held against; to end it when they are known is the conduct's.
        requested: requests a second that were asked for.
        on_progress: is told how far it is, each second.

    Raises:
        UnconnectedError: no connection could be made to begin with.
        ExhaustedClientError: the client has too few descriptors or ports for them.
        HarnessError: the pacer broke.
        UsageError: the questions' endpoint may not be loaded.
    """
    conduct = conduct or Conduct()
    plan = allow_warm_up(plan, conduct.warm_up)
    # Answers that are held against nothing are not kept: of a server whose answers all differ they would be many.
    asked = msgspec.structs.replace(plan, keeps_answers=False) if questions is None else questions.fill(plan)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    offsets, warm_up = (None, None) if schedule is None else (schedule.offsets_ns, space_warm_up(schedule, plan))
    samples_path = directory / SAMPLES_FILE
    with Pacer(asked, offsets, directory, warm_up_ns=warm_up) as pacer:
        ready = pacer.wait_ready()
        renewal, tail, live = Renewal(questions, pacer.renew), SamplesTail(samples_path), LiveFigures(plan)
        start_ns = time.monotonic_ns() + int(LEAD_S * SECOND_NS)
        conductor = Conductor(conduct, plan, offsets, start_ns)

        def follow(progress: Progress) -> None:
            renewal.go_on()
            blocks = list(tail.read())
            conductor.look(pacer, progress, blocks)
            if conductor.begin_ns != NEVER:
                machine.begin_ns = conductor.begin_ns
            on_progress(live.add(progress, blocks, conductor.warm_up.message if conductor.warm_up else ""))

        with MachineGauge(begin_ns=max(conductor.begin_ns, 0)) as machine:
            done = pacer.run(start_ns, follow)
    if not done.stopped:
        conductor.conclude()
    checked = None if questions is None else check_answers(samples_path, read_answers(directory), questions.judge)
    samples = read_samples(samples_path)
    result = analyse(
        PacerRun(plan=asked, ready=ready, done=done, samples=samples),
        arrivals=schedule.arrivals if schedule else f"{plan.users} users, think time {plan.think_s:g} s",
        seed=schedule.seed if schedule else 0,
        requested=requested,
        scheduled=schedule.rate if schedule else None,
        cut=schedule.cut if schedule else "",
        machine=machine.use,
        checked=checked,
        warm_up=conductor.warm_up,
        stop=conductor.stop,
        started_at=started_at,
    )
    if objectives is None:
        return result
    confidence = conductor.stop.confidence if conductor.stop else CONFIDENCE
    judgement = judge(result, rank_requests(samples), objectives, confidence)
    return msgspec.structs.replace(result, judgement=judgement)


def allow_warm_up(plan: Plan, limits: WarmUpLimits | None) -> Plan:
    """Return the plan with a warm-up as long as one that lasts until times are level may be; as it is where none does."""
    return plan if limits is None else msgspec.structs.replace(plan, warm_up_s=limits.maximum_s + WARM_UP_SLACK_S)


def space_warm_up(schedule: Schedule, plan: Plan) -> Offsets:
    """Return the sends of the warm-up: evenly spaced at the schedule's mean rate, for what the law draws is the window's."""
    count = int(schedule.rate * plan.warm_up_s)
    return np.arange(count, dtype=np.int64) * int(plan.warm_up_s * SECOND_NS) // max(count, 1)
