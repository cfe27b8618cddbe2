"""Closed loop: users who ask, wait for the answer, think, and ask again. For capacity, not for latency."""

from __future__ import annotations

import asyncio
import contextlib

from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.engine import Engine, wait_until_ns
from seatrial.load.pacer.handover import EXISTS, Handover
from seatrial.load.pacer.one_step_connection import OneStepConnection
from seatrial.load.pacer.opening import open_side_by_side
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import Plan
from seatrial.load.samples import Outcome

# A user whose connection cannot be made tries again, not at once.
_RETRY_S = 0.1


class ClosedLoop(Engine):
    """As many requests at a time as there are users, each on a connection of its own."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        super().__init__(plan, recorder)
        self._ready: list[Connection] = []
        self._count_asked = 0
        self._handover: Handover | None = None

    @property
    def scheduled(self) -> int:
        """Requests that were begun: there is no schedule."""
        return self._count_asked

    async def prepare(self) -> None:
        """Open a connection for each user."""
        plan = self.plan
        self._ready = await open_side_by_side(self.open, plan.first_connections, plan.opening_timeout_s)

    async def run(self, start_ns: int) -> None:
        """Let the users ask until the window ends, drain."""
        self.begin(start_ns)
        with contextlib.ExitStack() as stack:
            if EXISTS:
                self._handover = stack.enter_context(contextlib.closing(Handover(self, self._recorder)))
            async with self.watched():
                await asyncio.sleep(wait_until_ns(start_ns))
                for connection in self._ready:
                    self._come_back(connection)
                await self.wait_over()
                await self.drain(now_ns())
            self.censor()

    def note_handed_over(self, count: int, idle_ns: int) -> None:
        """Count requests that were answered, all of them, and then followed by the next ones.

        Args:
            count: of those that ended, and of those that began.
            idle_ns: how long none was in flight between the one and the other, summed; by readings of the clock for the gauge
                alone, which knows nothing of what the records say.
        """
        if not count:
            return
        self._failures_in_a_row = 0
        self._count_asked += count
        self.sent += count
        self.ended += count
        if self.window_begin_ns <= now_ns() < self.window_end_ns:
            self._area_ns -= idle_ns

    def free(self, connection: Connection, at_ns: int) -> None:
        """Its user thinks, and asks again."""
        if at_ns >= self.window_end_ns or self._over.is_set():
            return
        if self.plan.think_s:
            self._loop.call_later(self.plan.think_s, self._come_back, connection)
        elif connection.reusable:
            self._count_asked += 1
            self.send(connection, self._count_asked - 1, at_ns)
            self._join_handover(connection)
        else:
            self._open_for(at_ns)

    def _join_handover(self, connection: Connection) -> None:
        if self._handover is None or not isinstance(connection, OneStepConnection):
            return
        # Over TLS every request is left with the transport.
        if connection.is_known and not connection.left_with_transport:
            self._handover.join(connection)

    def _come_back(self, connection: Connection | None = None) -> None:
        now = now_ns()
        if self._is_over(now):
            return
        if connection is not None and connection.reusable:
            self._ask(connection, now)
        else:
            self._open_for(now)

    def _ask(self, connection: Connection, intended_ns: int) -> None:
        request, self._count_asked = self._count_asked, self._count_asked + 1
        self.send(connection, request, intended_ns)

    def _open_for(self, intended_ns: int) -> None:
        self._spawn(self._open_and_ask(intended_ns), lambda: self._fail(intended_ns, Outcome.CENSORED))

    async def _open_and_ask(self, intended_ns: int) -> None:
        try:
            connection = await self.open()
        except (OSError, TimeoutError) as error:
            self.note_connect_error(error)
            self._fail(intended_ns, Outcome.UNCONNECTED)
            self._loop.call_later(_RETRY_S, self._come_back)
            return
        self._ask(connection, intended_ns)

    def _fail(self, intended_ns: int, outcome: Outcome) -> None:
        request, self._count_asked = self._count_asked, self._count_asked + 1
        self.fail_unsent(request, intended_ns, outcome)

    def _is_over(self, now: int) -> bool:
        return now >= self.window_end_ns or self._over.is_set()
