"""Load on a target of a trial: in a window of its own, every answer checked, again when it was no measurement."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from seatrial.errors import SeatrialError
from seatrial.load.calibrating import calibrate
from seatrial.load.calibration import BRIEF, QUICK, Calibration, CalibrationPlan, summarize_runs
from seatrial.load.conducting import Conduct
from seatrial.load.fresh import make_fresh
from seatrial.load.live import Snapshot
from seatrial.load.measuring import WARM_UP_SLACK_S, measure_load
from seatrial.load.objectives import Objectives
from seatrial.load.plan import ANSWERS_FILE, SCHEDULE_FILE, WARM_UP_FILE, Destination, Plan
from seatrial.load.questions import Questions, pick_cases
from seatrial.load.repeating import repeat_while_invalid
from seatrial.load.result import pass_interrupt_on
from seatrial.load.schedules import Schedule, make_schedule, parse_arrivals
from seatrial.load.stationarity import BRIEF_WARM_UP
from seatrial.load.stopping import make_stop_rule
from seatrial.load.telling import describe_snapshot
from seatrial.records import LoadRecord
from seatrial.target import Deployment, Usage
from seatrial.trial.limits import off_cpus, read_cpu_limit

if TYPE_CHECKING:
    from seatrial.load.result import LoadResult
    from seatrial.trial.trial import Trial

CALIBRATION_FILE: Final = "calibration.json"
CALIBRATIONS: Final[dict[str, CalibrationPlan | None]] = {"smoke": None, "standard": BRIEF, "nightly": QUICK}
"""By profile: a quarter of a minute in `standard`, half a minute in `nightly`."""
PROGRESS_S: Final = 10.0
"""From one line on a run to the next: a line each second would be most of what a trial prints."""
# Arrivals come by chance: so many more than on average are ready.
_MORE: Final = 1.2
_PLAN: Final = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """What load is put on.

    Args:
        name: what it is for; names the record and the samples.
        rate: open loop: requests a second.
        arrivals: open loop: the law, as in `seatrial load --arrivals`.
        users: closed loop, where there is no rate.
        duration_s: of the timed window.
        warm_up_s: before it; None: until response times are level, twenty seconds at most.
        timeout_s: for one request.
        drain_s: how long pending requests are waited for after the window.
        seed: of the schedule: with the same one every target is asked at the same times.
        cases: how many of the golden cases are asked; 0 all that can be told apart.
        fresh: 1, 2 or 3: instead of them, where the model takes batches, questions that no other order and no earlier attempt
            asks, made of the same cases in other orders; see `seatrial.load.fresh`.
        objectives: what the run is held against; its window ends early when they are known.
    """

    name: str
    rate: float | None = None
    arrivals: str = "poisson"
    users: int = 0
    duration_s: float = 10.0
    warm_up_s: float | None = None
    timeout_s: float = 10.0
    drain_s: float = 10.0
    seed: int = 1
    cases: int = 0
    fresh: int = 0
    objectives: Objectives | None = None


def measure_target(
    trial: Trial, name: str, deployment: Deployment, order: LoadOrder, idle: Callable[[], None] = lambda: None
) -> LoadRecord:
    """Put load on a target while nothing else of any trial uses the machine, and return the last attempt's record.

    A run that is no measurement is made again, at most twice; every attempt is recorded. Not one that found wrong answers: the
    next might find none, and the last is the one that counts.

    Raises:
        SeatrialError: the machine did not come to rest, the endpoint may not be loaded, the pacer broke.
        KeyboardInterrupt: the run was interrupted; it is recorded.
    """
    schedule = draw_schedule(order)
    if schedule is not None and order.objectives is not None and order.objectives.rate is not None:
        order = keep_up_with(order, schedule)
    calibrate_once(trial)
    attempts = itertools.count(1)

    def attempt() -> LoadRecord:
        number = next(attempts)
        questions = make_questions(trial, deployment, order, number)
        record = _measure_once(trial, name, deployment, questions, schedule, order, number, idle)
        trial.record(record)
        pass_interrupt_on(record.result.reasons)
        if not record.result.valid:
            trial.say(f"{name}: {order.name}: no measurement ({record.result.reasons[0].code})")
        return record

    return repeat_while_invalid(attempt, _is_final)[-1]


def _is_final(record: LoadRecord) -> bool:
    return record.result.valid or record.result.wrong > 0 or record.result.mixed_up > 0


def make_questions(trial: Trial, deployment: Deployment, order: LoadOrder | None = None, attempt: int = 1) -> Questions:
    """Return what a deployment is asked under load: its golden cases that can be told apart, as many as an order says, or all."""
    manifest = deployment.model.manifest
    cases = pick_cases(deployment.model.cases, manifest)
    most_cases = order.cases if order else 0
    if order is not None and order.fresh:
        longest_s = order.duration_s + (
            BRIEF_WARM_UP.maximum_s + WARM_UP_SLACK_S if order.warm_up_s is None else order.warm_up_s
        )
        # As many for an order of one: how many there are decides about how much work each is.
        wanted = math.ceil((order.rate or 0.0) * longest_s * _MORE) + 1
        # What outlives a trial may remember the questions of the one before.
        start = zlib.crc32(trial.directory.path.name.encode())
        part = order.fresh - 1 + 3 * (attempt - 1)
        cases = make_fresh(cases, manifest, part=part, most=wanted, start=start) or cases
    return Questions(
        endpoint=deployment.endpoint,
        manifest=manifest,
        cases=cases[:most_cases] if most_cases else cases,
        allowed=tuple(trial.settings.general.allow_remote),
    )


def read_calibration(directory: Path) -> Calibration | None:
    """Return what this machine could tell apart when a trial measured it; None when the trial did not."""
    path = directory / CALIBRATION_FILE
    return msgspec.json.decode(path.read_bytes(), type=Calibration) if path.exists() else None


def calibrate_once(trial: Trial) -> None:
    """Find out what this machine can tell apart, before the first load of a trial; the profile says how closely."""
    general = trial.settings.general
    plan = CALIBRATIONS[general.profile]
    if plan is None or not general.calibrate or (trial.directory.path / CALIBRATION_FILE).exists():
        return
    with trial.lock.measure(trial.say), trial.fleet.hushed(""):
        trial.say(f"calibrating, {len(plan.specimens) * plan.repeats} runs of {plan.duration_s:g} s")
        try:
            calibration = calibrate(plan)
        except SeatrialError as error:
            # Load is put on all the same: of figures without a floor just the order is missing.
            trial.say(f"this machine's noise floor is not known: {error.message}")
            calibration = summarize_runs(
                plan, (), plan.specimens, made_at=datetime.now(UTC).isoformat(timespec="seconds")
            )
    trial.directory.write(CALIBRATION_FILE, msgspec.json.encode(calibration))


def _measure_once(
    trial: Trial,
    name: str,
    deployment: Deployment,
    questions: Questions,
    schedule: Schedule | None,
    order: LoadOrder,
    attempt: int,
    idle: Callable[[], None],
) -> LoadRecord:
    directory = make_directory(trial.directory.path / "samples", f"{name}-{order.name}")
    next_s = PROGRESS_S

    def tell(snapshot: Snapshot) -> None:
        nonlocal next_s
        if snapshot.elapsed_s >= next_s:
            next_s = snapshot.elapsed_s + PROGRESS_S
            trial.say(f"{name}: {order.name}: {describe_snapshot(snapshot)}")
            idle()

    with trial.lock.measure(trial.say), trial.fleet.hushed(name), off_cpus(deployment):
        idle()
        before = read_usage(deployment)
        result = run_order(questions, schedule, order, directory, tell)
        after = read_usage(deployment)
        cpu_limit = read_cpu_limit(deployment)
    return LoadRecord(
        target=name,
        name=order.name,
        attempt=attempt,
        result=result,
        network_path=deployment.endpoint.path,
        wire=deployment.endpoint.wire,
        cases=len(questions.cases),
        usage=compare_usage(before, after),
        cpu_limit=cpu_limit,
        samples=str(directory.relative_to(trial.directory.path)),
    )


def make_directory(parent: Path, name: str) -> Path:
    """Return a new directory: an attempt that broke off has left its own."""
    parent.mkdir(exist_ok=True)
    directory = parent / f"{name}-{1 + sum(1 for _ in parent.glob(f'{name}-*'))}"
    directory.mkdir()
    return directory


def draw_schedule(order: LoadOrder) -> Schedule | None:
    """Return the sends of an order's timed window; None in a closed loop."""
    if order.rate is None:
        return None
    law = parse_arrivals(order.arrivals, order.rate, order.duration_s)
    return make_schedule(law, duration_s=order.duration_s, seed=order.seed)


def keep_up_with(order: LoadOrder, schedule: Schedule) -> LoadOrder:
    """Return an order whose objectives ask for the rate that was drawn, more or less than what was given."""
    assert order.objectives is not None
    return dataclasses.replace(order, objectives=msgspec.structs.replace(order.objectives, rate=schedule.rate))


def run_order(
    questions: Questions,
    schedule: Schedule | None,
    order: LoadOrder,
    directory: Path,
    on_progress: Callable[[Snapshot], None] = lambda _snapshot: None,
) -> LoadResult:
    """Make one run as ordered, in an empty directory, and return its figures. For a timed window that the caller holds."""
    plan = msgspec.structs.replace(
        _PLAN,
        mode="open" if schedule else "closed",
        users=order.users,
        duration_s=order.duration_s,
        warm_up_s=order.warm_up_s or 0.0,
        timeout_s=order.timeout_s,
        drain_s=order.drain_s,
        connections=4,
    )
    result = measure_load(
        plan,
        schedule,
        directory=directory,
        questions=questions,
        conduct=Conduct(
            warm_up=BRIEF_WARM_UP if order.warm_up_s is None else None,
            stop=make_stop_rule(order.objectives) if order.objectives else None,
        ),
        objectives=order.objectives,
        requested=order.rate,
        on_progress=on_progress,
    )
    for each in (SCHEDULE_FILE, WARM_UP_FILE):
        (directory / each).unlink(missing_ok=True)
    if not (result.wrong or result.errors):
        (directory / ANSWERS_FILE).unlink(missing_ok=True)
    return result


def read_usage(deployment: Deployment) -> Usage:
    """Return what a deployment has used; nothing where it cannot be asked."""
    with contextlib.suppress(SeatrialError):
        return deployment.measure_usage()
    return Usage()


def compare_usage(before: Usage, after: Usage) -> dict[str, float | None]:
    """Return what was used between two readings."""

    def subtract(first: float | None, last: float | None) -> float | None:
        return None if first is None or last is None else last - first

    return {
        "cpu_s": subtract(before.cpu_s, after.cpu_s),
        "throttled_periods": subtract(before.throttled_periods, after.throttled_periods),
        "memory_peak_bytes": after.memory_peak_bytes,
    }
