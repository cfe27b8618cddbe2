"""The master of Locust: shares the order out, lets all begin together, collects what came, and says what it comes to.

During a run it keeps trials and other load runs of its machine out, as `seatrial load` does. Nobody does so on other machines,
where workers of Locust's may be: there it is for who starts them to see that nothing else measures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from typing import Any, Final

import gevent
import msgspec
from gevent.event import Event
from locust import stats
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner

from seatrial.errors import ExitCode, HarnessError, SeatrialError
from seatrial.load.arrivals import SECOND_NS
from seatrial.load.driver import READY_TIMEOUT_S, SLACK_S
from seatrial.load.live import LiveFigures
from seatrial.load.result import LoadResult
from seatrial.load.summary import render_load
from seatrial.load.swarm.clock import read_clock
from seatrial.load.swarm.collecting import Collection
from seatrial.load.swarm.files import SwarmFiles, write_result
from seatrial.load.swarm.merging import INTERRUPTED, choose_code
from seatrial.load.swarm.messages import (
    END,
    GO,
    ORDER,
    READY,
    RENEW,
    REPORT,
    STOP,
    WINDOW,
    BeginWindow,
    End,
    Failure,
    Go,
    Order,
    Prepared,
    Renew,
    Report,
    pack,
    split_order,
    unpack,
)
from seatrial.load.swarm.options import read_order
from seatrial.load.swarm.waiting import keep_machine

GO_LEAD_S: Final = 0.3
"""Between the word to go and the first send: it must have reached all workers by then."""
WINDOW_LEAD_S: Final = 1.0
"""Between the word that ends the warm-up and the window: it must have reached all pacers, past workers that compute."""
STOP_TIMEOUT_S: Final = 40.0
WATCH_S: Final = 0.2
_TELL_S: Final = 1.0
_log = logging.getLogger("locust.seatrial")


class Master:
    """What the process that leads does, be it Locust's single process or its master.

    Attributes:
        conclusion: of the latest run that is over.
    """

    def __init__(self, environment: Environment, runner: MasterRunner | LocalRunner) -> None:
        assert environment.parsed_options is not None
        self._environment = environment
        self._options = options = environment.parsed_options
        self._files = SwarmFiles(options.seatrial_directory) if options.seatrial_directory else None
        self._runner = runner
        self._run: Collection | None = None
        self._over = Event()
        self._over.set()
        self._deadline_s = 0.0
        self._wall_ahead_ns = 0
        self._window_s = 0.0
        self.conclusion: LoadResult | Failure | None = None
        for name, listener in ((READY, self._take_prepared), (END, self._take_end), (REPORT, self._take_report)):
            runner.register_message(name, listener)
        environment.events.worker_report.add_listener(self._take_worker_report)
        environment.events.test_start.add_listener(self._begin)
        environment.events.test_stopping.add_listener(self._stop)
        environment.events.quitting.add_listener(self._stop)

    @property
    def is_over(self) -> bool:
        """Whether the latest run is over."""
        return bool(self._over.is_set())

    @property
    def run(self) -> Collection | None:
        """The latest run, whether or not it is over."""
        return self._run

    def read_order(self) -> Order:
        """Return what is asked for. Raises UsageError when it cannot be done."""
        if self._files is not None:
            return self._files.read_order()
        stages = getattr(self._environment.shape_class, "stages", ())
        return read_order(self._options, self._environment.host or "", stages)

    def _begin(self, **_: Any) -> None:
        self._run, self.conclusion = None, None
        with ExitStack() as stack:
            self._over.clear()
            stack.callback(self._over.set)
            try:
                order = self.read_order()
                # Those of now are whom Locust's dispatcher gives users: who comes during the wait has none.
                workers = self._list_workers()
                split_order(order, len(workers))
                if order.cut and self._files is None:
                    _log.warning("seatrial: %s", order.cut)
                # What it is when the wait is broken off.
                self._environment.process_exit_code = INTERRUPTED
                stack.enter_context(self._keep_machine())
                started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
                run = Collection(msgspec.structs.replace(order, started_at=started_at), workers)
            except SeatrialError as error:
                self._conclude(Failure(message=error.message, fix=error.fix, exit_code=int(error.exit_code)))
                return
            self._start(run)
            gevent.spawn(self._watch, run, stack.pop_all())

    def _keep_machine(self) -> AbstractContextManager[None]:
        """Not where who started this process has done so."""
        if self._files is not None:
            return nullcontext()
        return keep_machine(self._runner)

    def _start(self, run: Collection) -> None:
        self._run = run
        # What it is when this breaks before there is a conclusion.
        self._environment.process_exit_code = int(HarnessError.exit_code)
        plan = run.order.plan
        self._deadline_s = time.monotonic() + READY_TIMEOUT_S + plan.opening_timeout_s + plan.timeout_s + SLACK_S
        for name, seat in run.seats.items():
            self._runner.send_message(ORDER, pack(seat.order), client_id=name)

    def _list_workers(self) -> tuple[str, ...]:
        if isinstance(self._runner, LocalRunner):
            return ("local",)
        clients = self._runner.clients
        here = clients.ready + clients.spawning + clients.running
        return tuple(sorted((node.id for node in here), key=self._runner.get_worker_index))

    def _go(self, run: Collection) -> None:
        run.begun = True
        plan = run.order.plan
        self._deadline_s = time.monotonic() + GO_LEAD_S + run.order.whole_s + 2 * SLACK_S
        lead_ns, clock = int(GO_LEAD_S * SECOND_NS), read_clock()
        wall_ns, said_ns = time.time_ns(), time.monotonic_ns()
        start_ns, self._wall_ahead_ns = said_ns + lead_ns, wall_ns - said_ns
        self._set_window(start_ns + int(plan.warm_up_s * SECOND_NS))
        for name, seat in run.seats.items():
            go = Go(start_ns=start_ns if seat.has(clock) else None, lead_ns=lead_ns, wall_ns=wall_ns)
            self._runner.send_message(GO, pack(go), client_id=name)
        self._set_start()

    def _begin_window(self, run: Collection) -> None:
        """End the warm-up on all workers at one time. Where the word is lost the window begins by the plan."""
        run.window_begun = True
        lead_ns, clock = int(WINDOW_LEAD_S * SECOND_NS), read_clock()
        begin_ns = time.monotonic_ns() + lead_ns
        self._set_window(begin_ns)
        for name, seat in run.seats.items():
            order = BeginWindow(begin_ns=begin_ns if seat.has(clock) else None, lead_ns=lead_ns)
            self._runner.send_message(WINDOW, pack(order), client_id=name)

    def _watch(self, run: Collection, kept: ExitStack) -> None:
        with kept:
            self._await_end(run)
            self._conclude(run.conclude())

    def _await_end(self, run: Collection) -> None:
        """See the run to its end: workers that are gone, and those that take too long, are given up."""
        told_to_stop, told_s, renewed = False, 0.0, 0
        live = LiveFigures(run.order.plan)
        while not run.is_over:
            gevent.sleep(WATCH_S)
            self._find_lost(run)
            if run.is_broken and not told_to_stop:
                told_to_stop = True
                self._tell_stop(run)
            if self._files is not None and time.monotonic() - told_s > _TELL_S:
                told_s = time.monotonic()
                self._tell_progress(self._files, live, run)
                renewed += self._pass_on(run, self._files.read_renewals(renewed))
        if self._files is not None:
            self._tell_progress(self._files, live, run)
            self._files.write_tally(run.tally)

    def _tell_progress(self, files: SwarmFiles, live: LiveFigures, run: Collection) -> None:
        tally = run.tally
        files.add_progress(live.describe(run.progress, tally.series["response"], run.note))

    def _pass_on(self, run: Collection, renewals: Sequence[Renew]) -> int:
        """Tell all workers of requests that were signed anew, and return how many there are."""
        for renewed in renewals:
            for name, seat in run.seats.items():
                if not seat.is_over:
                    self._runner.send_message(RENEW, pack(renewed), client_id=name)
        return len(renewals)

    def _find_lost(self, run: Collection) -> None:
        late = time.monotonic() > self._deadline_s
        for name in run.seats:
            if isinstance(self._runner, MasterRunner):
                node = self._runner.clients.get(name)
                if node is None or node.state == STATE_MISSING:
                    run.lose(name, "it is gone, or its heartbeat stopped")
            if late:
                run.lose(name, "it did not report its end in time" if run.begun else "it was not ready in time")

    def _tell_stop(self, run: Collection) -> None:
        for name, seat in run.seats.items():
            if not seat.is_over:
                self._runner.send_message(STOP, client_id=name)

    def _stop(self, **_: Any) -> None:
        """Bring a run that is under way to its end: pacers are told, and what there is is read."""
        run = self._run
        if run is None or self.is_over:
            return
        self._tell_stop(run)
        if not self._over.wait(STOP_TIMEOUT_S):
            for name in run.seats:
                run.lose(name, "it did not stop when it was told to")
            self._over.wait(WATCH_S * 10)

    def _conclude(self, conclusion: LoadResult | Failure) -> None:
        self.conclusion = conclusion
        if isinstance(conclusion, Failure):
            self._environment.process_exit_code = conclusion.exit_code
            _log.error("seatrial: %s%s", conclusion.message, f"\nFix: {conclusion.fix}" if conclusion.fix else "")
        else:
            self._environment.process_exit_code = choose_code(conclusion)
            stats.console_logger.info(render_load(conclusion, self._environment.host or "load"))
        if isinstance(conclusion, LoadResult) and self._options.seatrial_json:
            self._write(conclusion, self._options.seatrial_json)
        if self._files is not None:
            self._files.write_conclusion(conclusion)
        if self._options.csv_prefix:
            # Locust's files are written each second and not at the end: what came last must be in them.
            gevent.sleep(1.5 * stats.CSV_STATS_INTERVAL_SEC)

    def _write(self, result: LoadResult, path: str) -> None:
        try:
            write_result(result, path)
        except OSError as error:
            self._environment.process_exit_code = int(ExitCode.USAGE)
            _log.error("seatrial: the result cannot be written to %r: %s", path, error)

    def _take_prepared(self, msg: Message, **_: Any) -> None:
        run = self._run
        if run is None or run.begun:
            return
        run.take_prepared(msg.node_id, unpack(msg.data, Prepared))
        if run.is_prepared:
            self._go(run)

    def _take_end(self, msg: Message, **_: Any) -> None:
        if self._run is not None:
            self._run.take_end(msg.node_id, unpack(msg.data, End))

    def _take_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if REPORT in data:
            self._add(client_id, data[REPORT])

    def _take_report(self, msg: Message, **_: Any) -> None:
        self._add(msg.node_id, msg.data)

    def _add(self, name: str, data: dict[str, Any]) -> None:
        run = self._run
        if run is not None:
            run.take_report(name, unpack(data, Report))
            if run.begun and run.is_warm and not run.window_begun:
                self._begin_window(run)
            self._set_start()

    def _set_window(self, begin_ns: int) -> None:
        """Note from when Locust's rates count, by the same reading of both clocks as the times of requests there."""
        self._window_s = (begin_ns + self._wall_ahead_ns) / SECOND_NS

    def _set_start(self) -> None:
        self._environment.stats.total.start_time = self._window_s
