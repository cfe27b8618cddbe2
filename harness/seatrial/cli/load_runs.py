"""What `seatrial load` does once it knows what is asked: probe, run or search, say and write what came of it."""

from __future__ import annotations

import math
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from seatrial.cli.app import INTERRUPTED
from seatrial.cli.json_file import STANDARD_OUTPUT, write_json
from seatrial.cli.load_display import Display
from seatrial.errors import ExitCode, UsageError, choose_exit_code
from seatrial.load.address import Address, compose_request, resolve
from seatrial.load.between_runs import Asked, Recovery, SearchWarmUp, judge_unmade
from seatrial.load.capacity import Capacity, Measured, search_capacity
from seatrial.load.conducting import Conduct
from seatrial.load.driver import ExhaustedClientError, UnconnectedError
from seatrial.load.fast_http import run_fast_http
from seatrial.load.host_lock import HostLock
from seatrial.load.measuring import measure_load
from seatrial.load.objectives import Objectives, parse_objectives
from seatrial.load.plan import Plan
from seatrial.load.probe import NoAnswerError, probe
from seatrial.load.result import LoadResult, pass_interrupt_on, says_interrupted
from seatrial.load.schedules import Schedule, find_highest_rate, make_schedule, parse_arrivals
from seatrial.load.stationarity import BRIEF_WARM_UP, WarmUpLimits
from seatrial.load.stopping import make_stop_rule
from seatrial.load.summary import describe_warm_up, render_capacity, render_load
from seatrial.load.swarm.launch import run_swarm

FIRST_RATE: Final = 10.0
FEWEST: Final = 20
"""Requests of a run of a search: with fewer there is nothing to tell."""
_MOST_CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """The options, checked; seconds, requests a second. Of warm-ups None means until response times are level."""

    url: str
    arrivals: str
    rate: float | None
    users: int
    think_s: float
    duration_s: float
    warm_up_s: float | None
    later_warm_up_s: float | None
    """Of each run of a search but the first."""
    timeout_s: float
    drain_s: float
    seed: int
    method: str
    headers: tuple[str, ...]
    body: bytes
    reconnect: bool
    ca_file: str
    allowed: tuple[str, ...]
    objectives: Objectives | None
    stops_early: bool
    engine: str
    workers: int
    display: Display

    @property
    def is_open(self) -> bool:
        """Whether there is a schedule."""
        return not self.users


def read_objectives(text: str, *, find_rate: bool, users: int | None) -> Objectives | None:
    """Return what a sentence asks; None where there is none. Raises UsageError."""
    if not text:
        if find_rate:
            raise UsageError("--find-rate was given without an objective", fix="--objective 'p99 <= 50 ms'")
        return None
    if users is not None:
        raise UsageError(
            "--objective was given with --users: where each waits for an answer, a stall makes requests few, not late",
            fix="--rate R instead of --users",
        )
    return parse_objectives(text)


def measure(order: LoadOrder, json_file: str) -> int:
    """Make one run, tell and write its result, and return the exit code. Raises KeyboardInterrupt before there is one."""
    plan = _ask_once(order, _make_plan(order))
    with _window(order) as directory:
        result = _run(order, plan, directory)
    _write(result, render_load(result, order.url), json_file)
    if result.requests and not result.outcomes.get("answered") and not says_interrupted(result.reasons):
        sys.stderr.write(f"seatrial: not one of {result.requests:,} requests succeeded\n")
    return _choose_code(result)


def search(order: LoadOrder, json_file: str) -> int:
    """Search the highest rate that keeps the objectives, tell and write it, and return the exit code.

    Raises:
        KeyboardInterrupt: before the first run was over, with what there is to say about that run.
    """
    assert order.objectives is not None
    assert order.rate is not None
    runs = _SearchRuns(order, _ask_once(order, _make_plan(order)))
    lowest = max(1.0, FEWEST / order.duration_s)
    found = search_capacity(
        runs.measure,
        first_rate=max(order.rate, lowest),
        lowest_rate=lowest,
        highest_rate=find_highest_rate(order.duration_s),
        objectives=order.objectives.describe(),
    )
    _write(found, render_capacity(found, order.url), json_file)
    if found.ended == "interrupted":
        return INTERRUPTED
    if found.highest_kept is not None:
        return int(ExitCode.OK)
    return int(ExitCode.CHECK_FAILED if found.ended == "never-kept" else ExitCode.MEASUREMENT_INVALID)


class _SearchRuns:
    """Makes the runs of a search, one after another, on one server."""

    def __init__(self, order: LoadOrder, plan: Plan) -> None:
        self._order, self._plan = order, plan
        self._warm_up = SearchWarmUp(first_s=order.warm_up_s, later_s=order.later_warm_up_s)
        self._recovery = Recovery(self._ask)
        self._count = 0
        self._is_overloaded = False

    def measure(self, rate: float) -> Measured:
        """Make one run at a rate, tell what came of it, and return that."""
        order, title, warm_up_s = self._order, f"{rate:g}/s", self._warm_up.next_s
        self._count += 1
        with _window(order) as directory:
            if self._is_overloaded:
                self._recovery.wait(lambda: order.display.say(f"waiting until {order.url} answers as before"))
            try:
                result = _measure_open(
                    order,
                    msgspec.structs.replace(self._plan, warm_up_s=warm_up_s or 0.0),
                    directory,
                    rate=rate,
                    seed=order.seed + self._count,
                    warm_up=BRIEF_WARM_UP if warm_up_s is None else None,
                    title=title,
                )
            except (UnconnectedError, ExhaustedClientError) as error:
                return self._tell(title, judge_unmade(error))
        pass_interrupt_on(result.reasons)
        self._warm_up.take_in(result)
        if result.warm_up:
            order.display.say(f"{title}: {describe_warm_up(result)}")
        return self._tell(title, Measured.read(result))

    def _tell(self, title: str, measured: Measured) -> Measured:
        judgement = measured.judgement
        self._is_overloaded = judgement.status != "met"
        status = judgement.status if judgement.valid else "invalid"
        self._order.display.say(f"{title}: {status}: {judgement.message}")
        return measured

    def _ask(self, timeout_s: float) -> Asked | None:
        try:
            answer = probe(self._plan.destination, self._plan.requests[0], timeout_s)
        except NoAnswerError:
            return None
        return Asked(took_s=answer.took_s, refused=answer.status >= 400)


def _make_plan(order: LoadOrder) -> Plan:
    address = resolve(order.url, allowed=order.allowed, ca_file=order.ca_file)
    return Plan(
        destination=address.destination,
        requests=(_compose(order, address),),
        mode="open" if order.is_open else "closed",
        cases=(0,),
        users=order.users,
        think_s=order.think_s,
        duration_s=order.duration_s,
        warm_up_s=order.warm_up_s or 0.0,
        timeout_s=order.timeout_s,
        drain_s=order.drain_s,
        reconnect=order.reconnect,
    )


def _compose(order: LoadOrder, address: Address) -> bytes:
    return compose_request(
        address, method=order.method, headers=order.headers, body=order.body, reconnect=order.reconnect
    )


def _ask_once(order: LoadOrder, plan: Plan) -> Plan:
    """See that the URL answers, and return the plan with as many connections as its answers will need, as it seems."""
    schedule = _draw(order, order.rate, order.seed) if order.is_open else None
    answer = probe(plan.destination, plan.requests[0], plan.timeout_s)
    note = "; that is a failure, all may fail" if answer.status >= 400 else ""
    note = note or ("; redirects are not followed" if 300 <= answer.status < 400 else "")
    order.display.say(
        f"{order.url} answers with status {answer.status}, {answer.body_bytes} bytes, in {answer.took_s * 1e3:.0f} ms{note}"
    )
    if schedule is not None and schedule.cut:
        order.display.say(schedule.cut)
    if schedule is None or plan.reconnect:
        return plan
    # The first answer is a slow one as a rule, and what is missing is opened as it is needed.
    needed = 2 + math.ceil(schedule.rate * answer.took_s)
    return msgspec.structs.replace(plan, connections=min(_MOST_CONNECTIONS, needed))


def _run(order: LoadOrder, plan: Plan, directory: Path) -> LoadResult:
    if order.engine in {"fast-http", "http"}:
        return run_fast_http(
            plan, directory, kind="fast" if order.engine == "fast-http" else "plain", on_progress=order.display.show
        )
    if order.engine == "locust" or order.workers > 1:
        law = parse_arrivals(order.arrivals, order.rate, order.duration_s) if order.is_open else None
        return run_swarm(
            plan,
            law,
            workers=order.workers,
            directory=directory,
            seed=order.seed,
            requested=order.rate,
            warm_up=_limit(order),
            on_progress=order.display.show,
        )
    if order.is_open:
        return _measure_open(order, plan, directory, rate=order.rate, seed=order.seed, warm_up=_limit(order))
    return measure_load(
        plan, None, directory=directory, conduct=Conduct(warm_up=_limit(order)), on_progress=order.display.show
    )


def _measure_open(
    order: LoadOrder,
    plan: Plan,
    directory: Path,
    *,
    rate: float | None,
    seed: int,
    warm_up: WarmUpLimits | None,
    title: str = "",
) -> LoadResult:
    objectives, schedule = order.objectives, _draw(order, rate, seed)
    if objectives is not None:
        # What was drawn is what is to be kept up with: of few requests it is more or less than what was asked for.
        objectives = msgspec.structs.replace(objectives, rate=schedule.rate)
    stop = make_stop_rule(objectives) if objectives is not None and order.stops_early else None
    return measure_load(
        plan,
        schedule,
        directory=directory,
        conduct=Conduct(warm_up=warm_up, stop=stop),
        objectives=objectives,
        requested=rate,
        on_progress=lambda snapshot: order.display.show(snapshot, title),
    )


def _limit(order: LoadOrder) -> WarmUpLimits | None:
    return WarmUpLimits() if order.warm_up_s is None else None


@contextmanager
def _window(order: LoadOrder) -> Iterator[Path]:
    """Keep trials and other load runs of this machine out, in a directory that is gone afterwards."""
    # Told to end in the one way or the other, it says what there is and leaves nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        HostLock().measure(order.display.say),
        tempfile.TemporaryDirectory(prefix="seatrial-load-") as directory,
    ):
        try:
            yield Path(directory)
        finally:
            order.display.clear()


def _draw(order: LoadOrder, rate: float | None, seed: int) -> Schedule:
    law = parse_arrivals(order.arrivals, rate, order.duration_s)
    schedule = make_schedule(law, duration_s=order.duration_s, seed=seed)
    if not len(schedule.offsets_ns):
        raise UsageError(
            f"{schedule.arrivals} for {order.duration_s:g} s is no request at all"
            + (f": {schedule.cut}" if schedule.cut else ""),
            fix="times in seconds from the window's beginning on, or a longer --duration"
            if schedule.cut
            else "a longer --duration, or a higher rate",
        )
    return schedule


def _write(result: LoadResult | Capacity, text: str, json_file: str) -> None:
    if json_file != STANDARD_OUTPUT:
        sys.stdout.write(text)
    if json_file:
        write_json(result, json_file)


def _choose_code(result: LoadResult) -> int:
    if says_interrupted(result.reasons):
        return INTERRUPTED
    causes = [] if result.valid else [ExitCode.MEASUREMENT_INVALID]
    if not result.outcomes.get("answered"):
        causes.append(ExitCode.CHECK_FAILED)
    if result.judgement is not None and result.judgement.status != "met":
        missed = result.judgement.status == "missed"
        causes.append(ExitCode.CHECK_FAILED if missed else ExitCode.MEASUREMENT_INVALID)
    return int(choose_exit_code(causes))
