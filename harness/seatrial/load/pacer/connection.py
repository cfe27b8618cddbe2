"""One connection that carries one request at a time, over HTTP/1.1."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

import httptools

from seatrial.load.samples import NEVER, Outcome

now_ns = time.monotonic_ns


class Ended(Protocol):
    """Who is told how a request ended."""

    def request_ended(self, connection: Connection, outcome: Outcome) -> None:
        """Take the result, which stands in the connection's attributes; the connection may be used again when `reusable`."""


class Connection(asyncio.Protocol):
    """A connection and the request on it.

    Attributes:
        request: number of the request under way, -1 when there is none.
        carried: responses that came whole on it.
        connect_ns: how long it took to open; NEVER once that is recorded.
    """

    first_ns: int
    last_ns: int
    sent_ns: int
    intended_ns: int

    __slots__ = (
        "_body",
        "_ended",
        "_head_only",
        "_max_body_bytes",
        "_parser",
        "_sized",
        "body_bytes",
        "carried",
        "case",
        "connect_ns",
        "content_type",
        "first_ns",
        "intended_ns",
        "last_ns",
        "number",
        "reasked",
        "request",
        "reusable",
        "sent_ns",
        "status",
        "transport",
    )

    def __init__(self, ended: Ended, number: int, *, max_body_bytes: int, head_only: bool) -> None:
        self._ended = ended
        self._max_body_bytes = max_body_bytes
        self._head_only = head_only
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.request = -1
        self.carried = 0
        self.connect_ns = NEVER
        self.reusable = True
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: int, case: int, intended_ns: int, data: bytes) -> None:
        """Send a request; nothing may be under way."""
        assert self.transport is not None
        self._reset()
        self.request, self.case, self.intended_ns = request, case, intended_ns
        self.sent_ns = now_ns()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Read the response; what comes without a request is not HTTP."""
        if self.first_ns == NEVER:
            self.first_ns = now_ns()
        if self.request < 0:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(Outcome.MALFORMED)

    def eof_received(self) -> bool:
        """Close; `connection_lost` tells what that means."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End the request: whole when the response said that it ends with the connection, else cut off."""
        self.reusable = False
        if self.request >= 0:
            whole = error is None and self.status > 0 and not self._sized
            self._end(self._judge() if whole else Outcome.TRUNCATED)

    def give_up(self, outcome: Outcome) -> None:
        """End the request that is under way without its response."""
        self._end(outcome)

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()

    @property
    def body(self) -> bytes:
        """The response's body, as far as it was read."""
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what says where the body ends."""
        lower = name.lower()
        if lower in {b"content-length", b"transfer-encoding"}:
            self._sized = True
        elif lower == b"content-type":
            self.content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            if status in {204, 304}:
                self._sized = True
            if self._head_only:
                self.reusable = False
                self._end(self._judge())

    def on_body(self, body: bytes) -> None:
        """Keep the body, up to its bound."""
        self._body.append(body)
        self.body_bytes += len(body)
        if self.body_bytes > self._max_body_bytes:
            self._end(Outcome.MALFORMED)

    def on_message_complete(self) -> None:
        """End the request; an interim response (1xx) is followed by another."""
        if self.status and self.request >= 0:
            self.reusable = self.reusable and self._parser.should_keep_alive()
            self._end(self._judge())

    def _judge(self) -> Outcome:
        return Outcome.ANSWERED if self.status < 400 else Outcome.REFUSED

    def _end(self, outcome: Outcome) -> None:
        if self.request < 0:
            return
        self.last_ns = now_ns()
        if outcome in {Outcome.ANSWERED, Outcome.REFUSED}:
            self.carried += 1
        else:
            self.reusable = False
        self._ended.request_ended(self, outcome)

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self.body_bytes = 0
        self._sized = False
        self.content_type = ""
        self.status = 0
        self.first_ns = self.last_ns = self.sent_ns = self.intended_ns = NEVER
        self.case = 0
        self.reasked = False
