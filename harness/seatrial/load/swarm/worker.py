"""A worker of Locust: takes orders, runs one pacer, and tells the master what came."""

from __future__ import annotations

from typing import Any, Final

from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import LocalRunner, WorkerRunner

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
    pack,
    unpack,
)
from seatrial.load.swarm.pacing import Pacing, describe_stop

STOP_TIMEOUT_S: Final = 30.0
"""For which a pacer that is told to stop is waited for."""


class Worker:
    """What a process that sends does, in Locust's single process or in one of its workers."""

    def __init__(self, environment: Environment, runner: WorkerRunner | LocalRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._order: Order | None = None
        self._pacing: Pacing | None = None
        self._idle = Event()
        self._idle.set()
        for name, listener in (
            (ORDER, self._take_order),
            (GO, self._take_go),
            (WINDOW, self._take_window),
            (STOP, self._take_stop),
            (RENEW, self._take_renew),
        ):
            runner.register_message(name, listener)
        environment.events.report_to_master.add_listener(self._fill_report)
        environment.events.quitting.add_listener(self._stop)

    def pace(self) -> None:
        """Take the order through, in the greenlet of Locust's user. Without an order there is nothing to do."""
        order, self._order = self._order, None
        if order is None:
            return
        end = End(worker=order.worker, failure=Failure(message="its user was stopped before its end"))
        self._idle.clear()
        try:
            self._pacing = Pacing(
                order, self._environment.stats, on_prepared=self._tell_prepared, on_progress=self._report
            )
            end = self._pacing.run()
        finally:
            self._tell_end(end)
            self._pacing = None
            self._idle.set()

    def _tell_prepared(self, prepared: Prepared) -> None:
        self._runner.send_message(READY, pack(prepared))

    def _report(self) -> None:
        """Report what came, as soon as it is known; to itself where there is no master."""
        if isinstance(self._runner, LocalRunner):
            if self._pacing is not None:
                self._runner.send_message(REPORT, pack(self._pacing.take_report()))
            return
        data: dict[str, Any] = {}
        self._environment.events.report_to_master.fire(client_id=self._runner.client_id, data=data)
        self._runner.send_message("stats", data)

    def _tell_end(self, end: End) -> None:
        # What came last is in the statistics before the end is known.
        self._report()
        self._runner.send_message(END, pack(end))

    def _fill_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:  # noqa: ARG002 - Locust names it
        pacing = self._pacing
        if pacing is None:
            return
        data[REPORT] = pack(pacing.take_report())
        # One user sends everything; what is of interest in its place on Locust's page is how much.
        count = pacing.count_scheduled()
        data["user_count"] = count
        data["user_classes_count"] = {name: count * users for name, users in data["user_classes_count"].items()}

    def _take_order(self, msg: Message, **_: Any) -> None:
        self._order = unpack(msg.data, Order)

    def _take_go(self, msg: Message, **_: Any) -> None:
        if self._pacing is not None:
            self._pacing.go(unpack(msg.data, Go))

    def _take_window(self, msg: Message, **_: Any) -> None:
        if self._pacing is not None:
            self._pacing.begin_window(unpack(msg.data, BeginWindow))

    def _take_renew(self, msg: Message, **_: Any) -> None:
        if self._pacing is not None:
            self._pacing.renew(unpack(msg.data, Renew))

    def _take_stop(self, **_: Any) -> None:
        if self._pacing is not None:
            self._pacing.stop()
        elif self._order is not None:
            order, self._order = self._order, None
            self._tell_end(End(worker=order.worker, failure=describe_stop()))

    def _stop(self, **_: Any) -> None:
        self._take_stop()
        self._idle.wait(STOP_TIMEOUT_S)
