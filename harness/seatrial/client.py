"""The plain client: asks one question at a time over a blocking socket, through whatever wire the endpoint speaks."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from seatrial.endpoint import Endpoint
from seatrial.errors import SeatrialError
from seatrial.model import Arrays, Manifest
from seatrial.registry import find_wire
from seatrial.wire import Answer, Exchange, RawQuestion, Refusal, RefusalKind, Send

_CHUNK_BYTES = 1 << 16
KEPT_BYTES = 1 << 14
DEFAULT_TIMEOUT_S = 60.0


class AskTimeoutError(SeatrialError):
    """No whole answer within the time given."""


class Client:
    """Asks an endpoint. Keeps its connection between questions where the wire and the server allow; not for two threads.

    Args:
        endpoint: where and how to ask.
        manifest: the signature to ask by.
        keep_alive: False opens a new connection for every question.
        via: connect there instead, to what carries connections on; what is sent stays the same.
        kept_bytes: how much of what comes back is kept in `received`.

    Attributes:
        stale_connections: how often a kept connection turned out to be closed by the server as it was used again. The
            question is then asked once more on a new connection, as RFC 9112, section 9.3.1 allows for what is safe to
            repeat, which a prediction is.
        sent: the bytes of the last question; of an exchange in two steps those of the first.
        sent_at_s: when the last question's first bytes were out, on the clock of `time.monotonic`; None when none ever were, so
            that nobody can have answered it.
        received: the first bytes that came back, `kept_bytes` at most.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        manifest: Manifest,
        *,
        keep_alive: bool = True,
        via: Endpoint | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._endpoint = endpoint
        self._via = via or endpoint
        self._manifest = manifest
        self._keep_alive = keep_alive
        self._kept_bytes = kept_bytes
        self._unsent: ConnectionError | None = None
        self._wire = find_wire(endpoint.wire)
        self._socket: socket.socket | None = None
        self._heard = False
        self.stale_connections = 0
        self.sent = self.received = b""
        self.sent_at_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def open(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Open the connection now, not with the first question. Raises OSError."""
        if self._socket is None:
            self._socket = connect(self._endpoint, timeout_s)

    def ask(self, inputs: Arrays, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer | Refusal:
        """Ask one question.

        Raises:
            OSError: no connection, or it broke before any byte of an answer.
            AskTimeoutError: no whole answer within `timeout_s`.
        """
        return self._ask(lambda exchange: exchange.start(inputs), timeout_s)

    def ask_raw(self, question: RawQuestion, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer | Refusal:
        """Ask what may be no question at all. Raises as `ask` does."""
        return self._ask(lambda exchange: exchange.start_raw(question), timeout_s)

    def _ask(self, start: Callable[[Exchange], bytes], timeout_s: float) -> Answer | Refusal:
        deadline = time.monotonic() + timeout_s
        kept = self._socket is not None
        self.sent_at_s = None
        try:
            return self._ask_once(start, deadline)
        except TimeoutError as error:
            raise AskTimeoutError(f"no whole answer from {self._endpoint.address} within {timeout_s:g} s") from error
        except ConnectionError:
            if not kept or self._heard:
                raise
        self.stale_connections += 1
        return self._ask_once(start, deadline)

    def _ask_once(self, start: Callable[[Exchange], bytes], deadline: float) -> Answer | Refusal:
        exchange = self._wire.open_exchange(self._endpoint, self._manifest)
        self._heard = False
        self._unsent = None
        self.received = b""
        ended = False
        try:
            self.sent = start(exchange)
            outcome = self._drive(exchange, self.sent, deadline)
            ended = True
        finally:
            if not (ended and self._keep_alive and exchange.reusable and self._unsent is None):
                self.close()
        return outcome

    def _drive(self, exchange: Exchange, data: bytes, deadline: float) -> Answer | Refusal:
        connection = self._send(data, deadline)
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            received = self._receive(connection)
            self._heard = True
            self.received += received[: self._kept_bytes - len(self.received)]
            step = exchange.receive(received)
            if isinstance(step, Send):
                if step.reconnect:
                    self.close()
                connection = self._send(step.data, deadline)
            elif step is not None:
                return step
            elif not received:
                return Refusal(kind=RefusalKind.TRUNCATED, status=0, message="the connection ended before the answer")

    def _receive(self, connection: socket.socket) -> bytes:
        try:
            received = connection.recv(_CHUNK_BYTES)
        except ConnectionError as error:
            raise self._unsent or error from error
        if received or self._heard:
            return received
        raise self._unsent or ConnectionResetError(
            "the server closed the connection before the first byte of an answer"
        )

    def _send(self, data: bytes, deadline: float) -> socket.socket:
        """Send on the kept connection when it is still open, else on a new one.

        A server may answer before it has everything, and end the connection (RFC 9110, 15.5.14, of a content too large): so where
        no more can be sent, what it said is read first.
        """
        if self._socket is not None and _is_closed(self._socket):
            self.close()
        if self._socket is None:
            self._socket = connect(self._via, max(0.001, deadline - time.monotonic()))
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            self._socket.sendall(data)
        except ConnectionError as error:
            self._unsent = error
        self.sent_at_s = self.sent_at_s or time.monotonic()
        return self._socket


def connect(endpoint: Endpoint, timeout_s: float, *, host: str = "", receive_bytes: int = 0) -> socket.socket:
    """Open a connection to an endpoint: TCP, TLS or a Unix socket.

    Args:
        endpoint: where.
        timeout_s: bound on it.
        host: the address to connect to where its name was looked up before.
        receive_bytes: room for what has arrived and is not read; 0 is as the system has it.
    """
    parts = urlsplit(endpoint.address)
    if parts.scheme == "unix":
        return _open_socket(socket.AF_UNIX, parts.path, timeout_s, receive_bytes)
    secure = parts.scheme == "https"
    where = (host or parts.hostname or "", parts.port or (443 if secure else 80))
    if receive_bytes:
        family, _, _, _, address = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)[0]
        connection = _open_socket(family, address, timeout_s, receive_bytes)
    else:
        connection = socket.create_connection(where, timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return connection
    context = ssl.create_default_context(cafile=endpoint.ca_file or None)
    return context.wrap_socket(connection, server_hostname=parts.hostname)


def _open_socket(family: int, address: Any, timeout_s: float, receive_bytes: int) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        if receive_bytes:
            # Before it connects, for the peer is told then how much it may send.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(timeout_s)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether an idle connection was closed by the peer (or has bytes nobody asked for)."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True
