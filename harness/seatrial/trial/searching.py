"""The highest rate at which a target of a trial keeps objectives: a search in one timed window, bounded in time."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from seatrial.client import AskTimeoutError, Client
from seatrial.load.between_runs import Asked, Recovery, SearchWarmUp, judge_unmade
from seatrial.load.capacity import Measured, search_capacity
from seatrial.load.driver import ExhaustedClientError, UnconnectedError
from seatrial.load.objectives import Objectives
from seatrial.load.quantiles import FEWEST
from seatrial.load.questions import Questions
from seatrial.load.result import LoadResult, pass_interrupt_on
from seatrial.load.schedules import find_highest_rate
from seatrial.records import CapacityRecord, CapacityRunRecord
from seatrial.target import Deployment
from seatrial.trial.limits import off_cpus, read_cpu_limit
from seatrial.trial.measuring import (
    LoadOrder,
    calibrate_once,
    compare_usage,
    draw_schedule,
    keep_up_with,
    make_directory,
    make_questions,
    read_usage,
    run_order,
)
from seatrial.wire import Refusal

if TYPE_CHECKING:
    from seatrial.trial.trial import Trial

DEFAULT_OBJECTIVES: Final = Objectives(p99_ms=250.0, error_rate=0.001)
"""Where the settings have none."""
WARM_UP_S: Final = 0.5
"""At each rate but the first: of the server only what hangs on the rate is new to it."""
ENOUGH: Final = 1.5
"""Requests of a run, as a multiple of those that its highest quantile needs at least: what is drawn may be fewer."""
LEAST_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOrder:
    """What is searched, and how long.

    Args:
        name: what it is for; names the record and the samples.
        objectives: what must be kept; their rate is what is searched, so theirs is not looked at.
        first_rate: requests a second, where it begins; the same for every target.
        window_s: of each run; a run at a low rate is as long as its highest quantile needs, `longest_s` / 4 at most.
        longest_s: of the whole search, from its first window on; a run that may not be over by then is not begun, so the
            bracket may stay wide.
        resolution: relative length of the bracket at which the search is content.
        seed: of the schedules: the first run at a rate has the same one on every target, and so has the second.
    """

    name: str = "capacity"
    objectives: Objectives = DEFAULT_OBJECTIVES
    first_rate: float = 50.0
    window_s: float = 4.0
    longest_s: float = 75.0
    resolution: float = 0.1
    seed: int = 1

    @property
    def fewest(self) -> int:
        """Requests that a run must have for its quantiles to be known."""
        return math.ceil(ENOUGH * max([20, *(FEWEST[p] for p in self.objectives.bounds_ms)]))

    @property
    def lowest_rate(self) -> float:
        """Requests a second below which a run would be too long."""
        return self.fewest / max(self.window_s, self.longest_s / 4)

    @property
    def highest_rate(self) -> float:
        """Requests a second above which a run would have too many; runs longer than the window are at low rates."""
        return find_highest_rate(self.window_s)

    def order_run(self, rate: float, repeat: int, *, warm_up_s: float | None = WARM_UP_S) -> LoadOrder:
        """Return one run: what is not answered within twice the largest bound has missed it, and is not waited for.

        A warm-up of None waits until response times are level.
        """
        patience_s = max(LEAST_TIMEOUT_S, 2e-3 * max(self.objectives.bounds_ms.values(), default=0.0))
        return LoadOrder(
            name=self.name,
            rate=rate,
            arrivals=self.objectives.arrivals,
            duration_s=max(self.window_s, self.fewest / rate),
            warm_up_s=warm_up_s,
            timeout_s=patience_s,
            drain_s=patience_s,
            seed=self.seed + repeat,
            objectives=self.objectives,
        )


def search_target(
    trial: Trial, name: str, deployment: Deployment, order: CapacityOrder, idle: Callable[[], None] = lambda: None
) -> CapacityRecord:
    """Search a target's capacity while nothing else of any trial uses the machine, and record it with every run.

    A run under which the server is overloaded, or takes no connection, is an objective missed.

    Raises:
        SeatrialError: the machine did not come to rest, the endpoint may not be loaded, the pacer broke.
        KeyboardInterrupt: the search was interrupted; what it had found is recorded, once it had made a run.
    """
    questions = make_questions(trial, deployment)
    calibrate_once(trial)
    with trial.lock.measure(trial.say), trial.fleet.hushed(name), off_cpus(deployment):
        search = _Search(trial, name, deployment, questions, order, idle)
        capacity = search_capacity(
            search.measure,
            first_rate=max(order.first_rate, order.lowest_rate),
            lowest_rate=order.lowest_rate,
            highest_rate=order.highest_rate,
            resolution=order.resolution,
            objectives=order.objectives.describe(),
            may_go_on=search.may_go_on,
        )
        cpu_limit = read_cpu_limit(deployment)
    record = CapacityRecord(
        target=name,
        name=order.name,
        capacity=capacity,
        # Of one that was broken off before it was judged there is no rung, and reports tell of both together.
        runs=tuple(search.runs[: len(capacity.rungs)]),
        arrivals=order.objectives.arrivals,
        took_s=search.elapsed_s,
        longest_s=order.longest_s,
        network_path=deployment.endpoint.path,
        wire=deployment.endpoint.wire,
        cpu_limit=cpu_limit,
    )
    trial.record(record)
    if capacity.ended == "interrupted":
        raise KeyboardInterrupt(capacity.message)
    return record


class _Search:
    """Makes the runs of a search, and knows how long it has taken."""

    def __init__(
        self,
        trial: Trial,
        name: str,
        deployment: Deployment,
        questions: Questions,
        order: CapacityOrder,
        idle: Callable[[], None],
    ) -> None:
        self.runs: list[CapacityRunRecord] = []
        self._trial, self._name, self._deployment = trial, name, deployment
        self._questions, self._order, self._idle = questions, order, idle
        self._tried: Counter[float] = Counter()
        self._warm_up = SearchWarmUp(later_s=WARM_UP_S)
        self._longest_run_s = 0.0
        self._recovery = Recovery(lambda timeout_s: _ask(deployment, timeout_s))
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def may_go_on(self) -> bool:
        """Whether a run that is as long as the longest so far would be over in time, which begins with the first window."""
        return self.elapsed_s - self._warm_up.took_s + self._longest_run_s <= self._order.longest_s

    def measure(self, rate: float) -> Measured:
        """Make one run at a rate, and judge it."""
        self._idle()
        began_s, warming_s = time.monotonic(), self._warm_up.took_s
        order = self._order.order_run(rate, self._tried[rate], warm_up_s=self._warm_up.next_s)
        self._tried[rate] += 1
        measured = self._run(order)
        judgement = measured.judgement
        if judgement.status != "met":
            self._recovery.wait()
        took_s = time.monotonic() - began_s - (self._warm_up.took_s - warming_s)
        self._longest_run_s = max(self._longest_run_s, took_s)
        self._trial.say(f"{self._name}: {rate:g}/s: {judgement.status}: {judgement.message}")
        return measured

    def _run(self, order: LoadOrder) -> Measured:
        schedule = draw_schedule(order)
        assert schedule is not None
        order = keep_up_with(order, schedule)
        directory = make_directory(self._trial.directory.path / "samples", f"{self._name}-{order.name}")
        before = read_usage(self._deployment)
        try:
            result = run_order(self._questions, schedule, order, directory)
        except (UnconnectedError, ExhaustedClientError) as error:
            measured = judge_unmade(error)
            self._keep_unmade(order, measured, error)
            return measured
        self._warm_up.take_in(result)
        throttled = compare_usage(before, read_usage(self._deployment))["throttled_periods"]
        self._keep(order, result, throttled, str(directory.relative_to(self._trial.directory.path)))
        pass_interrupt_on(result.reasons)
        return Measured.read(result)

    def _keep(self, order: LoadOrder, result: LoadResult, throttled: float | None, samples: str) -> None:
        times = result.response_time_s
        self.runs.append(
            CapacityRunRecord(
                rate=order.rate or 0.0,
                seed=order.seed,
                duration_s=order.duration_s,
                valid=result.valid,
                saturated=result.saturated,
                reasons=tuple(reason.code for reason in result.reasons),
                requests=result.requests,
                failed=result.requests - result.outcomes.get("answered", 0),
                p50_s=times.p50,
                p99_s=times.p99,
                throttled_periods=throttled,
                samples=samples,
                warm_up=result.warm_up,
            )
        )

    def _keep_unmade(
        self, order: LoadOrder, measured: Measured, error: UnconnectedError | ExhaustedClientError
    ) -> None:
        valid = measured.judgement.valid
        self.runs.append(
            CapacityRunRecord(
                rate=order.rate or 0.0,
                seed=order.seed,
                duration_s=order.duration_s,
                valid=valid,
                saturated=valid,
                reasons=(f"{error.exhausted}-exhausted" if isinstance(error, ExhaustedClientError) else "unconnected",),
                requests=0,
                failed=0,
                p50_s=None,
                p99_s=None,
                throttled_periods=None,
                samples="",
                warm_up="",
            )
        )


def _ask(deployment: Deployment, timeout_s: float) -> Asked | None:
    """Return how long a golden case took, right or not; None when it got no answer."""
    began_s = time.monotonic()
    try:
        with Client(deployment.endpoint, deployment.model.manifest) as client:
            answer = client.ask(deployment.model.cases[0].inputs, timeout_s=timeout_s)
    except (OSError, AskTimeoutError):
        return None
    return Asked(took_s=time.monotonic() - began_s, refused=isinstance(answer, Refusal))
