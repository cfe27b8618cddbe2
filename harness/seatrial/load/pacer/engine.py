"""What open and closed loop share: connections, outcomes, bounds on every wait, and the gauges."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine

from seatrial.load.descriptors import EXHAUSTED
from seatrial.load.own_use import OwnUse
from seatrial.load.pacer.cases import Cases
from seatrial.load.pacer.connecting import Connector
from seatrial.load.pacer.connection import SECOND_NS, Connection, now_ns
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import TOLD, Plan
from seatrial.load.samples import NO_ANSWER, Outcome

SWEEP_S = 0.05
TICK_S = 0.1
SOON_NS = 50_000_000
"""From an order to the beginning of the window at least: a sleeping schedule is looked at each 20 ms."""


class Engine(ABC):
    """Sends the requests of a plan. `run` returns when all have ended, or the drain has."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        self.plan = plan
        self.sent = self.ended = self.failed = 0
        self.opened = self.reasked = 0
        self.exhausted = self.stopped = ""
        self.start_ns = self.window_begin_ns = self.window_end_ns = 0
        # Times of ends less times of sends, as the gauge reads them, cut to the window: requests in flight, summed over time.
        self._area_ns = 0
        self.loop_lag_ns: list[int] = []
        self.spun_ns = 0
        self.use = OwnUse()
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._busy: dict[Connection, None] = {}
        self._failures_in_a_row = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._connector = Connector(plan)
        self.known_heads = self._connector.known_heads
        self._over = asyncio.Event()
        self.requests = list(plan.requests)
        self.cases = Cases(plan.cases)

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended."""
        return len(self._busy)

    @property
    def in_flight_area_ns(self) -> int:
        """Requests in flight times nanoseconds, summed over the window so far."""
        return self._area_ns + len(self._busy) * self._clip(now_ns())

    @abstractmethod
    async def prepare(self) -> None:
        """Open the first connections. Raises OpeningError."""

    @abstractmethod
    async def run(self, start_ns: int) -> None:
        """Send everything; what is pending at the end of the drain is recorded as censored."""

    def begin(self, start_ns: int) -> None:
        """Lay down when the warm-up and the window begin and end."""
        self.use.begin()
        self.start_ns = start_ns
        self.window_begin_ns = start_ns + int(self.plan.warm_up_s * SECOND_NS)
        self.window_end_ns = self.window_begin_ns + int(self.plan.duration_s * SECOND_NS)

    def begin_window(self, at_ns: int) -> None:
        """End the warm-up at a time, or soon where the order comes late for that; once the window has begun nothing changes."""
        at_ns = max(at_ns, now_ns() + SOON_NS)
        if at_ns < self.window_begin_ns:
            # What is in flight was cut to a beginning that was still to come, and is so to another.
            self._area_ns += len(self._busy) * (self.window_begin_ns - at_ns)
            self.window_end_ns += at_ns - self.window_begin_ns
            self.window_begin_ns = at_ns

    def end_window(self) -> None:
        """End the window now: enough is known. What is pending is waited for."""
        now = now_ns()
        if self.window_begin_ns < now < self.window_end_ns:
            self.window_end_ns = now
            self._over.set()

    @abstractmethod
    def free(self, connection: Connection, at_ns: int) -> None:
        """A connection has had no request since a moment ago; it is of use when `reusable`."""

    def stop(self, reason: str) -> None:
        """Send nothing more."""
        self.stopped = self.stopped or reason
        self._over.set()

    def renew(self, case: int, request: bytes) -> None:
        """Send other bytes for a case from now on: what signed the old ones runs out."""
        self.requests[case] = request

    async def open(self) -> Connection:
        """Return a new connection. Raises OSError, also when it takes longer than ten seconds."""
        number, self.opened = self.opened, self.opened + 1
        connection = self._connector.make(self, number)
        began_ns = now_ns()
        await self._connector.connect(connection)
        connection.connect_ns = now_ns() - began_ns
        return connection

    def note_connect_error(self, error: OSError) -> None:
        """Remember that the client ran out of something."""
        self.exhausted = self.exhausted or EXHAUSTED.get(error.errno or 0, "")

    def send(self, connection: Connection, request: int, intended_ns: int) -> None:
        """Send request number `request` on a free connection.

        It asks the case that was idle for longest: an answer that went to another request is told by its case. With more requests
        in flight than there are cases, one of them is asked twice at a time.
        """
        case = self.cases.take(request)
        # The gauge reads the clock by itself, here as where a request ends.
        at_ns = now_ns()
        connection.send(request, case, intended_ns, self.requests[case])
        self._area_ns -= at_ns if self.window_begin_ns <= at_ns < self.window_end_ns else self._clip(at_ns)
        self._busy[connection] = None
        self.sent += 1

    def request_ended(self, connection: Connection, outcome: Outcome) -> None:
        """Record a request; one that a kept connection lost without a byte is asked once more on a new one."""
        # Read anew: what the gauge counts in flight is made of nothing that the records say.
        at_ns = now_ns()
        self._area_ns += at_ns if self.window_begin_ns <= at_ns < self.window_end_ns else self._clip(at_ns)
        del self._busy[connection]
        answer = NO_ANSWER
        if outcome is Outcome.ANSWERED or outcome is Outcome.REFUSED:
            answer = self._recorder.identify(
                connection.case, connection.status, connection.body, connection.content_type
            )
        elif outcome is Outcome.TRUNCATED and self._is_stale(connection):
            self._spawn(
                self._ask_again(connection, connection.request),
                lambda: self._record(connection, Outcome.TRUNCATED, NO_ANSWER),
            )
            connection.request = -1
            return
        self._record(connection, outcome, answer)
        connection.request = -1
        if self.plan.reconnect:
            connection.reusable = False
        if connection.reusable:
            if connection.lingering:
                return
        else:
            connection.lingering = False
            connection.abort()
        self.free(connection, at_ns)

    def _is_stale(self, connection: Connection) -> bool:
        return connection.first_ns < 0 and connection.carried > 0 and not connection.reasked and not self.stopped

    def lingered(self, connection: Connection) -> None:
        """Free a connection whose response has ended after its request had."""
        if not connection.reusable:
            connection.abort()
        self.free(connection, now_ns())

    def move(self, connection: Connection) -> None:
        """Open another transport for a connection."""
        self._spawn(self._reconnect(connection))

    async def drain(self, from_ns: int) -> None:
        """Wait for what is pending, for as long as the plan allows, or until told to stop."""
        until_ns = from_ns + int(self.plan.drain_s * SECOND_NS)
        while self.is_pending() and now_ns() < until_ns and self.stopped != TOLD:  # noqa: ASYNC110 - rare, bounded
            await asyncio.sleep(0.005)

    def is_pending(self) -> bool:
        """Whether a request has not ended."""
        return bool(self._busy or self._opening)

    async def wait_over(self) -> None:
        """Return at the end of the window, which may be moved meanwhile, or when the run is stopped before."""
        while not self._over.is_set() and (left_s := wait_until_ns(self.window_end_ns)) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, TICK_S)):
                    await self._over.wait()
        self.use.end_window(self.spun_ns)

    def fail_unsent(self, request: int, intended_ns: int, outcome: Outcome) -> None:
        """Record a request that got no connection."""
        case = self.cases.choose(request)
        self._recorder.record_unsent(case, intended_ns, now_ns(), outcome, intended_ns < self.window_begin_ns)
        self.ended += 1
        self._count_failure()

    def censor(self) -> None:
        """Record what is still pending."""
        for connection in list(self._busy):
            connection.give_up(Outcome.CENSORED)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Run the sweep of overdue requests and the gauge of the loop's lag beside the block."""
        tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._feel_lag())]
        try:
            yield
        finally:
            # What ends while these are cancelled may have others opened.
            while ending := [*tasks, *self._opening]:
                for task in ending:
                    task.cancel()
                await asyncio.gather(*ending, return_exceptions=True)
                tasks.clear()

    def _count_failure(self) -> None:
        self.failed += 1
        self._failures_in_a_row += 1
        if self.plan.max_failures and self._failures_in_a_row >= self.plan.max_failures:
            self.stop(f"{self._failures_in_a_row} requests in a row failed")

    def _record(self, connection: Connection, outcome: Outcome, answer: int) -> None:
        if outcome is Outcome.ANSWERED:
            self._failures_in_a_row = 0
        else:
            self._count_failure()
        self.ended += 1
        self._recorder.record(connection, outcome, answer, connection.intended_ns < self.window_begin_ns)
        self.cases.give_back(connection.case)

    async def _ask_again(self, lost: Connection, request: int) -> None:
        """Send what a connection lost on a new one; where none can be made it ended with the one that lost it."""
        try:
            connection = await self.open()
        except (OSError, TimeoutError) as error:
            self.note_connect_error(error)
            self._record(lost, Outcome.TRUNCATED, NO_ANSWER)
            self.free(lost, now_ns())
            return
        self.reasked += 1
        at_ns = now_ns()
        connection.send(request, lost.case, lost.intended_ns, self.requests[lost.case])
        connection.sent_ns, connection.reasked = lost.sent_ns, True
        self._area_ns -= self._clip(at_ns)
        self._busy[connection] = None

    async def _reconnect(self, connection: Connection) -> None:
        request = connection.request
        try:
            await self._connector.connect(connection)
        except (OSError, TimeoutError) as error:
            self.note_connect_error(error)
            if connection.request == request:
                connection.give_up(Outcome.UNCONNECTED)
            return
        if connection.request == request:
            connection.resume()
        else:
            connection.abort()

    def _spawn(self, work: Coroutine[None, None, None], give_up: Callable[[], None] | None = None) -> None:
        """Open a connection beside all else; `give_up` records what it is for when the drain ends before it is open."""

        def end(task: asyncio.Task[None]) -> None:
            self._opening.discard(task)
            # Not caught in the work: that may be cancelled before it begins.
            if give_up is not None and task.cancelled():
                give_up()

        task = self._loop.create_task(work)
        self._opening.add(task)
        task.add_done_callback(end)

    def _clip(self, at_ns: int) -> int:
        return max(self.window_begin_ns, min(at_ns, self.window_end_ns))

    async def _sweep(self) -> None:
        timeout_ns = int(self.plan.timeout_s * SECOND_NS)
        while True:
            await asyncio.sleep(SWEEP_S)
            due_ns = now_ns() - timeout_ns
            for connection in [each for each in self._busy if each.sent_ns < due_ns]:
                connection.give_up(Outcome.TIMED_OUT)

    async def _feel_lag(self) -> None:
        while True:
            began_ns = now_ns()
            if not self.use.is_in_window and began_ns >= self.window_begin_ns:
                self.use.begin_window(self.spun_ns)
            await asyncio.sleep(TICK_S)
            if self.window_begin_ns <= began_ns and now_ns() < self.window_end_ns:
                self.loop_lag_ns.append(max(0, now_ns() - began_ns - int(TICK_S * SECOND_NS)))


def wait_until_ns(due_ns: int) -> float:
    """Return the seconds until a monotonic time, 0 when it is past."""
    return max(0.0, (due_ns - time.monotonic_ns()) / SECOND_NS)
