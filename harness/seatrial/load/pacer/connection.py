"""What all connections share: one request at a time, its times, and how it ended. Subclasses know where a response ends."""

from __future__ import annotations

import asyncio
import os
import time
from abc import abstractmethod
from typing import Protocol, cast

from seatrial.load.samples import NEVER, Outcome

SECOND_NS = 1_000_000_000
now_ns = time.monotonic_ns


class Ended(Protocol):
    """Who is told how a request ended, and opens connections."""

    def request_ended(self, connection: Connection, outcome: Outcome) -> None:
        """Take the result, which stands in the connection's attributes.

        The connection may be used again when `reusable`; when it lingers, not before `lingered` is called.
        """

    def lingered(self, connection: Connection) -> None:
        """A connection that lingered after its request had ended does so no more."""

    def move(self, connection: Connection) -> None:
        """Open another transport for a connection whose request needs a second one; `resume` is called on it then."""


class Connection(asyncio.Protocol):
    """A connection and the request on it.

    Attributes:
        request: number of the request under way, -1 when there is none.
        body: of the response, once the request has ended; `body_bytes` counts what was read of it so far.
        carried: responses that came whole on it.
        descriptor: of the socket where bytes go as they are; -1 where there is none, as over TLS, or none any more.
        connect_ns: how long it took to open; NEVER once that is recorded.
        lingering: its request ended before its response did, so that it is not free yet.
    """

    first_ns: int
    last_ns: int
    sent_ns: int
    intended_ns: int

    __slots__ = (
        "_ended",
        "_max_body_bytes",
        "_parts",
        "body",
        "body_bytes",
        "carried",
        "case",
        "connect_ns",
        "content_type",
        "descriptor",
        "first_ns",
        "intended_ns",
        "last_ns",
        "left_with_transport",
        "lingering",
        "number",
        "reasked",
        "request",
        "reusable",
        "sent_ns",
        "status",
        "transport",
    )

    def __init__(self, ended: Ended, number: int, *, max_body_bytes: int) -> None:
        self._ended = ended
        self._max_body_bytes = max_body_bytes
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.descriptor = -1
        # Once bytes had to be left with the transport it keeps the order: all that follow go through it.
        self.left_with_transport = False
        self.request = -1
        self.carried = 0
        self.connect_ns = NEVER
        self.reusable = True
        self.lingering = False
        self._clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and the socket's descriptor where bytes go out as they are."""
        self.transport = cast("asyncio.Transport", transport)
        socket = None if transport.get_extra_info("sslcontext") else transport.get_extra_info("socket")
        self.descriptor = -1 if socket is None else socket.fileno()
        self.left_with_transport = False

    def send(self, request: int, case: int, intended_ns: int, data: bytes) -> None:
        """Send a request; nothing may be under way."""
        self._clear()
        self._expect_response()
        self.request, self.case, self.intended_ns = request, case, intended_ns
        self.sent_ns = now_ns()
        self._write(data)

    def data_received(self, data: bytes) -> None:
        """Read the response; what comes without a request is not the protocol."""
        if self.first_ns == NEVER:
            self.first_ns = now_ns()
        if self.request < 0 and not self.lingering:
            self.abort()
            return
        self._read(data)

    def eof_received(self) -> bool:
        """Close; `connection_lost` tells what that means."""
        self.reusable = False
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End the request: whole when the response said that it ends with the connection, else cut off."""
        self.reusable = False
        self.descriptor = -1
        if self.request >= 0:
            whole = error is None and self._ends_with_connection()
            self._end(self._judge() if whole else Outcome.TRUNCATED)

    def give_up(self, outcome: Outcome) -> None:
        """End the request that is under way without its response."""
        self._end(outcome)

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()

    def resume(self) -> None:
        """Go on with the request, on another transport than it began on."""
        raise NotImplementedError

    @abstractmethod
    def _expect_response(self) -> None:
        """Make ready for a response."""

    @abstractmethod
    def _read(self, data: bytes) -> None:
        """Take bytes of a response."""

    @abstractmethod
    def _ends_with_connection(self) -> bool:
        """Whether the end of the connection is the response's own end."""

    def _write(self, data: bytes) -> None:
        """Give bytes to the socket now: a transport of uvloop would do so at the end of the loop's turn, after all reading.

        Transports close their descriptor when `connection_lost` has been called, not before.
        """
        assert self.transport is not None
        written = 0
        if self.descriptor >= 0 and not self.left_with_transport:
            try:
                written = os.write(self.descriptor, data)
            except OSError:
                # It would block, or is broken: the transport waits, or finds out the same.
                written = 0
            if written == len(data):
                return
        self.leave_with_transport(data[written:])

    def leave_with_transport(self, data: bytes) -> None:
        """Have the transport write what the socket did not take."""
        assert self.transport is not None
        self.left_with_transport = True
        self.transport.write(data)

    def _judge(self) -> Outcome:
        return Outcome.ANSWERED if self.status < 400 else Outcome.REFUSED

    def _keep(self, body: bytes) -> None:
        """Keep a part of the body, up to its bound."""
        self._parts.append(body)
        self.body_bytes += len(body)
        if self.body_bytes > self._max_body_bytes:
            self._end(Outcome.MALFORMED)

    def _join_body(self) -> None:
        self.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _end(self, outcome: Outcome) -> None:
        if self.request < 0:
            return
        self.last_ns = now_ns()
        self._join_body()
        if outcome is Outcome.ANSWERED or outcome is Outcome.REFUSED:
            self.carried += 1
        else:
            self.reusable = False
        self._ended.request_ended(self, outcome)

    def _clear(self) -> None:
        self._parts: list[bytes] = []
        self.body = b""
        self.body_bytes = 0
        self.content_type = ""
        self.status = 0
        self.first_ns = self.last_ns = self.sent_ns = self.intended_ns = NEVER
        self.case = 0
        self.reasked = False
