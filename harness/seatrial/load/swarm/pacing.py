"""One worker's share of a run, from its order to its end: a pacer beside Locust, and what came of it, each second."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import gevent
import msgspec
import numpy as np
from gevent.event import Event
from locust.stats import RequestStats

from seatrial.errors import HarnessError, SeatrialError
from seatrial.load.analysis import analyse
from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.checking import AnswerCheck
from seatrial.load.conducting import NOTICE_NS
from seatrial.load.driver import Pacer, PacerRun
from seatrial.load.machine import MachineGauge, MachineUse
from seatrial.load.measuring import space_warm_up
from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, Done, Plan, Progress
from seatrial.load.probe import probe
from seatrial.load.samples import Samples, read_samples
from seatrial.load.schedules import Schedule, make_schedule
from seatrial.load.slices import slice_responses
from seatrial.load.swarm.clock import read_clock
from seatrial.load.swarm.merging import INTERRUPTED
from seatrial.load.swarm.messages import (
    BeginWindow,
    End,
    Failure,
    Go,
    Order,
    Prepared,
    Renew,
    Report,
    decode_golden,
    decode_law,
    write_certificates,
)
from seatrial.load.swarm.statistics import Statistics
from seatrial.load.swarm.threads import repeat_in_thread
from seatrial.load.swarm.warming import lay_out
from seatrial.load.tailing import AnswersTail, SamplesTail
from seatrial.load.tally import Tally
from seatrial.load.warming import WarmUpWatch
from seatrial.load.window import find_window

GO_TIMEOUT_S: Final = 180.0
"""For which a pacer that is ready waits for those of the other workers, and as long as these may open connections."""
JUDGING_S: Final = 0.1
"""Of each second that answers may be judged in beside the pacer, which has the same CPUs; the rest is judged after the run."""
REPORT_S: Final = 1.0
COMPUTING_TIMEOUT_S: Final = 3_600.0
_MOST_CONNECTIONS: Final = 64
_Computed = TypeVar("_Computed")


class Pacing:
    """Runs one pacer in the greenlet that calls `run`; everything else may be called from others.

    Args:
        order: this worker's share.
        stats: Locust's statistics, which the samples are added to.
        on_prepared: is told when the pacer has its connections open.
        on_progress: is told each second, when the statistics are up to date.
    """

    def __init__(
        self,
        order: Order,
        stats: RequestStats,
        *,
        on_prepared: Callable[[Prepared], None],
        on_progress: Callable[[], None],
    ) -> None:
        self.order = order
        self._on_prepared = on_prepared
        self._on_progress = on_progress
        self._statistics = make_statistics(order.plan, stats)
        self._check: AnswerCheck | None = None
        self._unjudged: deque[Samples] = deque()
        self._learned = False
        self._tally, self._reported = Tally(), Tally()
        self._progress: Progress | None = None
        self._decided = Event()
        self._stopped = False
        self._pacer: Pacer | None = None
        self._stretches: tuple[Offsets, Offsets] | None = None
        self._offsets: Offsets | None = None
        self._start_ns = 0
        self._watch: WarmUpWatch | None = None
        self._machine: MachineGauge | None = None

    def run(self) -> End:
        """Take the order through, and return what came of it: a failure is one of the things that may."""
        worker = self.order.worker
        try:
            with ExitStack() as stack:
                kept = self.order.directory and Path(self.order.directory) / f"worker-{worker}"
                directory = Path(kept or stack.enter_context(TemporaryDirectory(prefix="seatrial-swarm-")))
                directory.mkdir(parents=True, exist_ok=True)
                return self._measure(directory)
        except SeatrialError as error:
            failure = Failure(message=error.message, fix=error.fix, exit_code=int(error.exit_code))
            return End(worker=worker, failure=failure)

    def go(self, go: Go) -> None:
        """Begin, when it is ready."""
        self._start_ns = time.monotonic_ns() + go.lead_ns if go.start_ns is None else go.start_ns
        # From when the word was said where clocks are one: how long it took is in no second then.
        self._statistics.set_clock(go.wall_ns, self._start_ns - go.lead_ns)
        self._decided.set()

    def begin_window(self, order: BeginWindow) -> None:
        """End the warm-up: at the time that all have, or as soon as the pacer can where the word came too late for it."""
        if self._pacer is None:
            return
        now_ns = time.monotonic_ns()
        begin_ns = now_ns + order.lead_ns if order.begin_ns is None else max(order.begin_ns, now_ns + NOTICE_NS)
        self._pacer.begin_window(begin_ns)
        if self._machine is not None:
            self._machine.begin_ns = begin_ns
        self._lay_out(begin_ns - self._start_ns)

    def stop(self) -> None:
        """Send nothing more, and come to an end."""
        self._stopped = True
        self._decided.set()
        if self._pacer is not None:
            self._pacer.stop()

    def renew(self, renewed: Renew) -> None:
        """Have other bytes sent for a case."""
        if self._pacer is not None:
            self._pacer.renew(renewed.case, renewed.request)

    def take_report(self) -> Report:
        """Return what came since the last report."""
        delta = self._tally.subtract(self._reported)
        self._reported = self._tally.copy()
        warm_up = self._watch.verdict if self._watch else None
        return Report(worker=self.order.worker, tally=delta.encode(), progress=self._progress, warm_up=warm_up)

    def count_scheduled(self) -> int:
        """Return how many sends the schedule has within the present second; of a closed loop, the users."""
        if self._offsets is None:
            return self.order.plan.users
        second_ns = (time.monotonic_ns() - self._start_ns) // SECOND_NS * SECOND_NS
        begin, end = np.searchsorted(self._offsets, [second_ns, second_ns + SECOND_NS])
        return int(end - begin)

    def _measure(self, directory: Path) -> End:
        if self.order.golden is not None:
            self._check = AnswerCheck(decode_golden(self.order.golden).judge)
        schedule = self._draw()
        plan = self._size_connections(write_certificates(self.order, directory), schedule)
        plan = msgspec.structs.replace(plan, keeps_answers=self._check is not None)
        warm_up = None if schedule is None else space_warm_up(schedule, plan)
        if schedule is not None and warm_up is not None:
            self._stretches = (warm_up, schedule.offsets_ns)
            self._lay_out(int(plan.warm_up_s * SECOND_NS))
        with Pacer(plan, None if schedule is None else schedule.offsets_ns, directory, warm_up_ns=warm_up) as pacer:
            ready = pacer.wait_ready()
            self._on_prepared(Prepared(worker=self.order.worker, clock=read_clock()))
            patience_s = GO_TIMEOUT_S + plan.opening_timeout_s
            self._decided.wait(patience_s)
            if self._stopped or not self._start_ns:
                return End(worker=self.order.worker, failure=describe_stop(0.0 if self._stopped else patience_s))
            sent = self._send(pacer, directory)
        if sent is None:
            return End(worker=self.order.worker, failure=describe_stop())
        done, machine = sent
        run = PacerRun(plan=plan, ready=ready, done=done, samples=read_samples(directory / SAMPLES_FILE))
        result = self._compute(
            partial(
                analyse,
                run,
                arrivals=self.order.arrivals,
                seed=self.order.seed,
                requested=self.order.requested,
                scheduled=schedule.rate if schedule else None,
                machine=machine,
                checked=self._compute(partial(self._check.mark_file, directory / SAMPLES_FILE))
                if self._check
                else None,
                warm_up=self._watch.verdict if self._watch else None,
                started_at=self.order.started_at,
            )
        )
        slices = self._compute(lambda: slice_responses(run.samples, find_window(run)).encode())
        return End(worker=self.order.worker, result=result, tally=self._tally.encode(), slices=slices)

    def _send(self, pacer: Pacer, directory: Path) -> tuple[Done, MachineUse] | None:
        """Return what the pacer did; None when it was told to stop before it was let go."""

        samples, answers = SamplesTail(directory / SAMPLES_FILE), AnswersTail(directory / ANSWERS_FILE)

        def follow(progress: Progress) -> None:
            self._progress = progress
            blocks = list(samples.read())
            if self._watch is not None:
                self._compute(partial(self._watch.look, blocks, progress.elapsed_s))
            self._follow(blocks, answers, JUDGING_S)

        with MachineGauge(repeat=repeat_in_thread) as self._machine:
            if self.order.warm_up is None:
                self._machine.begin_ns = self._start_ns + int(self.order.plan.warm_up_s * SECOND_NS)
            # What was told while the gauge began reached no pacer.
            if self._stopped:
                return None
            self._pacer = pacer
            if self.order.warm_up is not None:
                self._watch = WarmUpWatch(self.order.warm_up, self._start_ns)
            try:
                done = pacer.run(self._start_ns, follow)
            finally:
                self._pacer = None
        # What is left to judge is left to this time, in which nothing is measured.
        while self._follow(list(samples.read()), answers, REPORT_S):
            if not self._learned:
                raise HarnessError("the pacer's samples name answers that it did not leave")
        return done, self._machine.use

    def _follow(self, blocks: Sequence[Samples], answers: AnswersTail, most_s: float) -> bool:
        """Add what came, as far as its answers are judged; returns whether samples wait for theirs."""
        self._unjudged.extend(blocks)
        if self._check is not None:
            before = self._check.count
            self._compute(partial(self._check.learn, answers.read(), most_s))
            self._learned = self._check.count > before
        while self._unjudged and (self._check is None or self._check.knows(self._unjudged[0])):
            block = self._unjudged.popleft()
            block = block if self._check is None else self._check.mark(block)
            self._tally.add(block)
            self._statistics.add(block)
        self._on_progress()
        return bool(self._unjudged)

    def _compute(self, work: Callable[[], _Computed]) -> _Computed:
        """Return what comes of work, done in a thread of its own, so that heartbeats go on meanwhile."""
        computed: _Computed = gevent.get_hub().threadpool.spawn(work).get(timeout=COMPUTING_TIMEOUT_S)
        return computed

    def _lay_out(self, window_ns: int) -> None:
        """Note when everything is due, with a window that begins so long after the start."""
        if self._stretches is not None:
            self._offsets = lay_out(*self._stretches, window_ns)

    def _draw(self) -> Schedule | None:
        order = self.order
        if order.law is None:
            return None
        law, duration_s = decode_law(order.law), order.plan.duration_s
        return make_schedule(law, duration_s=duration_s, seed=order.seed, worker=order.worker, workers=order.workers)

    def _size_connections(self, plan: Plan, schedule: Schedule | None) -> Plan:
        """Return the plan with as many connections as the answers will need, by the time that one takes."""
        if not self.order.probe or plan.framing != "http":
            return plan
        answer = probe(plan.destination, plan.requests[0], plan.timeout_s)
        if schedule is None or plan.reconnect:
            return plan
        needed = 2 + math.ceil(schedule.rate * answer.took_s)
        return msgspec.structs.replace(plan, connections=min(_MOST_CONNECTIONS, needed))


def make_statistics(plan: Plan, stats: RequestStats) -> Statistics:
    """Return what adds samples to Locust's statistics, under the method and the path of the first request."""
    method, path = "ASK", "frames"
    if plan.framing != "frame":
        method, path, *_ = plan.requests[0].split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    whole_s = plan.warm_up_s + plan.duration_s + plan.drain_s + plan.timeout_s
    return Statistics(stats, method=method, path=path, whole_s=whole_s)


def describe_stop(waited_s: float = 0.0) -> Failure:
    """Return why a worker whose pacer never began has no result: it waited so long for the word, or was told to stop."""
    if not waited_s:
        return Failure(message="it was told to stop before it began", exit_code=INTERRUPTED)
    return Failure(message=f"it was ready, and was not told to go for {waited_s:g} s")
