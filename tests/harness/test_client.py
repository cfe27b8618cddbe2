"""The plain client, against servers on sockets of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import orjson
import pytest

from seatrial.client import AskTimeoutError, Client
from seatrial.endpoint import Endpoint
from seatrial.model import Manifest, TensorSpec
from seatrial.wire import Answer, Refusal, RefusalKind

MANIFEST = Manifest(
    name="m",
    version="1",
    inputs=(TensorSpec(name="x", datatype="INT64", shape=(-1,)),),
    outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
    entry="m:model",
    python="3.11",
    files={},
)
BODY = orjson.dumps({"predictions": [1]})
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
INPUTS = {"x": np.array([1])}


@contextmanager
def serve(*behaviours: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """Accept one connection for each behaviour, in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            for behave in behaviours:
                connection, _ = listener.accept()
                with connection:
                    behave(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield Endpoint(address=f"http://127.0.0.1:{listener.getsockname()[1]}", wire="mlflow", path="loopback")
        thread.join(timeout=10)


def answer_times(count: int) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        for _ in range(count):
            connection.recv(65536)
            connection.sendall(GOOD)

    return behave


def answer_then_drop_the_next(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(GOOD)
    connection.recv(65536)


def test_the_connection_is_kept() -> None:
    with serve(answer_times(3)) as endpoint, Client(endpoint, MANIFEST) as client:
        answers = [client.ask(INPUTS) for _ in range(3)]

    assert all(isinstance(answer, Answer) for answer in answers)
    assert client.stale_connections == 0


def test_without_keep_alive_every_question_has_its_own_connection() -> None:
    with serve(answer_times(1), answer_times(1)) as endpoint, Client(endpoint, MANIFEST, keep_alive=False) as client:
        assert isinstance(client.ask(INPUTS), Answer)
        assert isinstance(client.ask(INPUTS), Answer)


def test_a_kept_connection_that_the_server_closes_is_replaced_and_counted() -> None:
    with serve(answer_then_drop_the_next, answer_times(1)) as endpoint, Client(endpoint, MANIFEST) as client:
        client.ask(INPUTS)
        answer = client.ask(INPUTS)

    assert isinstance(answer, Answer)
    assert client.stale_connections == 1


def test_a_new_connection_that_breaks_is_an_error() -> None:
    def drop(connection: socket.socket) -> None:
        connection.recv(65536)

    with serve(drop) as endpoint, Client(endpoint, MANIFEST) as client, pytest.raises(ConnectionError):
        client.ask(INPUTS)


def test_half_an_answer_is_truncated_and_not_asked_again() -> None:
    def half(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(GOOD[:-3])

    with serve(half) as endpoint, Client(endpoint, MANIFEST) as client:
        refusal = client.ask(INPUTS)

    assert isinstance(refusal, Refusal)
    assert refusal.kind is RefusalKind.TRUNCATED
    assert client.stale_connections == 0


def test_no_answer_in_time_is_a_timeout() -> None:
    release = threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(65536)
        release.wait(10)

    with serve(silent) as endpoint, Client(endpoint, MANIFEST) as client:
        with pytest.raises(AskTimeoutError, match=r"within 0\.2 s"):
            client.ask(INPUTS, timeout_s=0.2)
        release.set()


def test_nobody_there_is_an_error() -> None:
    with serve() as endpoint:
        pass
    with Client(endpoint, MANIFEST) as client, pytest.raises(ConnectionRefusedError):
        client.ask(INPUTS)


def test_what_is_said_before_everything_was_sent_is_read() -> None:
    """As of a body that is too long: who is answered has sent less than all, and the connection ends."""

    def refuse_at_once(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")

    with serve(refuse_at_once, answer_times(1)) as endpoint, Client(endpoint, MANIFEST) as client:
        refused = client.ask({"x": np.zeros(4_000_000, dtype=np.int64)})
        answered = client.ask(INPUTS)

    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.status, client.stale_connections) == (RefusalKind.REJECTED, 413, 0)
    assert isinstance(answered, Answer)
