"""Open loop: each request goes out at its intended time, whatever the server does."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.engine import SECOND_NS, Engine
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import Plan
from seatrial.load.samples import Outcome

# libuv's timers count milliseconds and may come one late, so the last stretch is spun on the loop.
SPIN_NS = 2_000_000


class OpenLoop(Engine):
    """Requests at `start + offsets[k]`. A due request takes a free connection, or has one opened for it."""

    def __init__(self, plan: Plan, recorder: Recorder, offsets_ns: npt.NDArray[np.int64]) -> None:
        super().__init__(plan, recorder)
        self._offsets: list[int] = offsets_ns.tolist()
        self._next = 0
        self._free: list[Connection] = []
        self._waiting: deque[tuple[int, int]] = deque()
        self._connections = 0
        self._spun_from_ns = 0

    @property
    def scheduled(self) -> int:
        """Requests in the schedule."""
        return len(self._offsets)

    async def prepare(self) -> None:
        """Open the first connections."""
        for _ in range(self.plan.connections):
            self._free.append(await self.open())
        self._connections = len(self._free)

    async def run(self, start_ns: int) -> None:
        """Send the schedule, drain."""
        self.start_ns = self._changed_ns = start_ns
        async with self.watched():
            self._loop.call_soon(self._tick)
            end_ns = start_ns + int((self.plan.warm_up_s + self.plan.duration_s) * SECOND_NS)
            await self.wait_over(end_ns)
            await self.drain(now_ns())
        for request, intended_ns in self._waiting:
            self.fail_unsent(request, intended_ns, Outcome.UNSENT)
        for request in range(self._next, self.scheduled):
            self.fail_unsent(request, start_ns + self._offsets[request], Outcome.UNSENT)
        self.censor()

    def free(self, connection: Connection) -> None:
        """Give the connection to the request that waits longest, or keep it."""
        if not connection.reusable:
            self._connections -= 1
            if self._waiting:
                self._open_for(*self._waiting.popleft())
        elif self._waiting:
            self.send(connection, *self._waiting.popleft())
        else:
            self._free.append(connection)

    def _tick(self) -> None:
        """Send what is due, and come back in time for the next."""
        now = now_ns()
        if self._spun_from_ns:
            self.spun_ns += now - self._spun_from_ns
            self._spun_from_ns = 0
        offsets, start_ns, total = self._offsets, self.start_ns, len(self._offsets)
        while self._next < total and start_ns + offsets[self._next] <= now:
            if self._over.is_set():
                return
            request = self._next
            self._next += 1
            self._dispatch(request, start_ns + offsets[request])
        if self._next == total or self._over.is_set():
            return
        gap_ns = start_ns + offsets[self._next] - now_ns()
        if gap_ns > 2 * SPIN_NS:
            self._loop.call_later((gap_ns - SPIN_NS) / SECOND_NS, self._tick)
        else:
            self._spun_from_ns = now_ns()
            self._loop.call_soon(self._tick)

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
        self._spawn(self._open_and_send(request, intended_ns))

    async def _open_and_send(self, request: int, intended_ns: int) -> None:
        try:
            connection = await self.open()
        except (OSError, TimeoutError) as error:
            self._connections -= 1
            self.note_connect_error(error)
            self.fail_unsent(request, intended_ns, Outcome.UNCONNECTED)
            return
        self.send(connection, request, intended_ns)

    def is_pending(self) -> bool:
        """Whether a request has not ended, or waits for a connection, or was due and is not sent."""
        return super().is_pending() or bool(self._waiting) or (self._next < self.scheduled and not self._over.is_set())
