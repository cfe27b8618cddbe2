"""Open loop: each request goes out at its intended time, whatever the server does."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

import numpy as np
import numpy.typing as npt

from seatrial.load.alarm import Alarm
from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.engine import Engine
from seatrial.load.pacer.opening import open_side_by_side
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import Plan
from seatrial.load.samples import Outcome

LOOK_NS = 20_000_000


class OpenLoop(Engine):
    """Requests at offsets from the start, then from the beginning of the window. A due one takes a free connection, or has one
    opened for it.
    """

    def __init__(
        self, plan: Plan, recorder: Recorder, offsets_ns: npt.NDArray[np.int64], warm_up_ns: npt.NDArray[np.int64]
    ) -> None:
        super().__init__(plan, recorder)
        # The stretch that is being sent: offsets from a base, and the place of the next; the window's follows the warm-up's. As
        # memory of eight bytes each: a list of numbers takes forty.
        self._offsets = np.ascontiguousarray(warm_up_ns, np.int64).data
        self._base_ns = 0
        self._next = 0
        self._window_offsets: memoryview[int] | None = np.ascontiguousarray(offsets_ns, np.int64).data
        self._sent_before = 0
        self._free: list[Connection] = []
        self._waiting: deque[tuple[int, int]] = deque()
        self._connections = 0
        self._spun_from_ns = 0
        # Requests that had been sent, and those that had ended, when it began to spin.
        self._counted_then = 0
        self._alarm = Alarm(self._loop, self._tick)

    @property
    def scheduled(self) -> int:
        """Requests in the schedule, up to the end of the window."""
        return self._sent_before + len(self._offsets) + len(self._window_offsets or ())

    async def prepare(self) -> None:
        """Open the first connections."""
        plan = self.plan
        self._free = await open_side_by_side(self.open, plan.first_connections, plan.opening_timeout_s)
        self._connections = len(self._free)

    async def run(self, start_ns: int) -> None:
        """Send the schedule, drain."""
        self.begin(start_ns)
        self._base_ns = start_ns
        try:
            async with self.watched():
                self._loop.call_soon(self._tick)
                await self.wait_over()
                await self.drain(now_ns())
        finally:
            self._alarm.close()
        while self._waiting:
            self.fail_unsent(*self._waiting.popleft(), Outcome.CENSORED)
        if self._window_offsets is not None:
            self._begin_stretch()
        for place in range(self._next, len(self._offsets)):
            self.fail_unsent(self._sent_before + place, self._base_ns + self._offsets[place], Outcome.UNSENT)
        self.censor()

    def begin_window(self, at_ns: int) -> None:
        """Send no more of the warm-up than is due by then."""
        super().begin_window(at_ns)
        if self._window_offsets is not None:
            due = bisect_left(self._offsets, self.window_begin_ns - self.start_ns)
            self._offsets = self._offsets[: max(self._next, due)]
        elif self._next == 0:
            self._base_ns = self.window_begin_ns

    def end_window(self) -> None:
        """Send no more of the schedule than is due by now."""
        super().end_window()
        if self._over.is_set() and self._window_offsets is None:
            self._offsets = self._offsets[: self._next]

    def free(self, connection: Connection, at_ns: int) -> None:
        """Give the connection to the request that waits longest, or keep it."""
        del at_ns
        if not connection.reusable:
            self._give_place()
        elif self._waiting:
            self.send(connection, *self._waiting.popleft())
        else:
            self._free.append(connection)

    def _tick(self) -> None:
        """Send what is due, and come back in time for the next."""
        now = now_ns()
        if self._spun_from_ns:
            # A turn of the loop in which something was read, sent or opened is work, however little of it was left to wait.
            if self.sent + self.ended == self._counted_then and not self._opening:
                self.spun_ns += now - self._spun_from_ns
            self._spun_from_ns = 0
        due_ns = self._find_due()
        while due_ns is not None and due_ns <= now and not self._over.is_set():
            request = self._sent_before + self._next
            self._next += 1
            self._dispatch(request, due_ns)
            due_ns = self._find_due()
        if due_ns is None or self._over.is_set():
            return
        now = now_ns()
        margin_ns = self._alarm.margin_ns
        if due_ns - now > 2 * margin_ns:
            # A window that is begun early may be due before what was next: it is looked for in time.
            self._alarm.set(min(due_ns - margin_ns, now + LOOK_NS))
        else:
            # The alarm may come late, so the last stretch is spun on the loop.
            self._spun_from_ns, self._counted_then = now, self.sent + self.ended
            self._loop.call_soon(self._tick)

    def _find_due(self) -> int | None:
        """Return when the next request is due; None after the last."""
        if self._next == len(self._offsets) and self._window_offsets is not None:
            self._begin_stretch()
        return self._base_ns + self._offsets[self._next] if self._next < len(self._offsets) else None

    def _begin_stretch(self) -> None:
        """Go on with the window's schedule."""
        self._sent_before += self._next
        assert self._window_offsets is not None
        self._offsets, self._window_offsets = self._window_offsets, None
        self._base_ns, self._next = self.window_begin_ns, 0

    def _dispatch(self, request: int, intended_ns: int) -> None:
        while self._free:
            connection = self._free.pop()
            if connection.reusable:
                self.send(connection, request, intended_ns)
                return
            self._connections -= 1
        self._open_for(request, intended_ns)

    def _open_for(self, request: int, intended_ns: int) -> None:
        if self._connections >= self.plan.max_connections:
            self.exhausted = self.exhausted or "connections"
            self._waiting.append((request, intended_ns))
            return
        self._connections += 1
        self._spawn(
            self._open_and_send(request, intended_ns),
            lambda: self.fail_unsent(request, intended_ns, Outcome.CENSORED),
        )

    async def _open_and_send(self, request: int, intended_ns: int) -> None:
        try:
            connection = await self.open()
        except (OSError, TimeoutError) as error:
            self.note_connect_error(error)
            self.fail_unsent(request, intended_ns, Outcome.UNCONNECTED)
            self._give_place()
            return
        self.send(connection, request, intended_ns)

    def _give_place(self) -> None:
        """Have one connection less, and another for the request that waits longest."""
        self._connections -= 1
        if self._waiting:
            self._open_for(*self._waiting.popleft())

    def is_pending(self) -> bool:
        """Whether a request has not ended, or waits for a connection, or was due and is not sent."""
        unsent = self._window_offsets is not None or self._next < len(self._offsets)
        return super().is_pending() or bool(self._waiting) or (unsent and not self._over.is_set())
