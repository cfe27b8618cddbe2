"""Bytes sent as they are, and every response that came back for them."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import h11

from seatrial.client import connect
from seatrial.endpoint import Endpoint

REACTION_WAIT_S = 2.0
"""For a server that has all bytes it will get; one that reacts to a broken request does so at once."""
_CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, interim ones left out.

    Args:
        status: 0 for what is no HTTP.
        raw: its bytes, and those of interim ones before it.
        is_whole: it ended as it said it would.
        is_last: it said that the connection ends with it.
    """

    status: int
    raw: bytes
    is_whole: bool
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What came of some bytes.

    Args:
        received: everything that came back.
        responses: what that is.
        closed: the server ended the connection by itself.
        probed: it did not, and what it was asked for afterwards on the same connection had a response, the last.
    """

    received: bytes
    responses: tuple[Response, ...]
    closed: bool
    probed: bool = False


def provoke(endpoint: Endpoint, host: str, sent: bytes, probe: bytes, *, wait_s: float | None = None) -> Reaction:
    """Send bytes, and read until the server ends the connection.

    One that stays open after a response is sent the probe, a request that ends it: were a response to something else
    outstanding, it would come first. So nothing has to be waited for that should not come.

    Args:
        endpoint: what is asked.
        host: where to connect to.
        sent: the bytes.
        probe: a whole request.
        wait_s: for what comes of the bytes; `REACTION_WAIT_S` if not told otherwise.

    Raises:
        OSError: there is no connection.
    """
    wait_s = REACTION_WAIT_S if wait_s is None else wait_s
    with connect(endpoint, _CONNECT_TIMEOUT_S, host=host) as connection:
        _send(connection, sent)
        received, closed = _read(connection, b"", wait_s, until_stays_open=True)
        before = split_responses(received)
        if closed or not before or before[-1].is_last:
            return Reaction(received=received, responses=before, closed=closed)
        _send(connection, probe)
        received, closed = _read(connection, received, wait_s)
        responses = split_responses(received)
        probed = len(responses) > len(before)
        return Reaction(received=received, responses=responses, closed=closed and not probed, probed=probed)


def split_responses(received: bytes) -> tuple[Response, ...]:
    """Return the responses in what a connection gave; the last may not be whole, and what is no HTTP counts as one."""
    responses: list[Response] = []
    rest = received
    while rest:
        state = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        state.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        state.send(h11.EndOfMessage())
        state.receive_data(rest)
        status, is_whole = _read_response(state)
        left = state.trailing_data[0] if is_whole else b""
        is_last = state.their_state in {h11.MUST_CLOSE, h11.CLOSED, h11.ERROR}
        raw = rest[: len(rest) - len(left)]
        responses.append(Response(status=status, raw=raw, is_whole=is_whole, is_last=is_last))
        rest = left
    return tuple(responses)


def _read_response(state: h11.Connection) -> tuple[int, bool]:
    status = 0
    try:
        while True:
            event = state.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return status, True
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return status, False
    except h11.RemoteProtocolError:
        return status, False


def _send(connection: socket.socket, data: bytes) -> None:
    """Send as much as the server takes: it may end the connection before it has read all."""
    try:
        connection.sendall(data)
    except OSError:
        return


def _read(
    connection: socket.socket, received: bytes, wait_s: float, *, until_stays_open: bool = False
) -> tuple[bytes, bool]:
    """Return what came, and whether the server ended the connection."""
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        try:
            data = connection.recv(_CHUNK_BYTES)
        except TimeoutError:
            break
        except OSError:
            return received, True
        if not data:
            return received, True
        received += data
        if until_stays_open and any(each.is_whole and not each.is_last for each in split_responses(received)):
            break
    return received, False
