"""A connection that knows heads reads what a parser reads, however the bytes come."""

from __future__ import annotations

import asyncio
import itertools
import os
import runpy
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.load.arrivals import Constant
from seatrial.load.driver import PacerRun, run_pacer
from seatrial.load.pacer.connection import Connection
from seatrial.load.pacer.http_connection import HttpConnection
from seatrial.load.pacer.known_heads import MOST, KnownHeads
from seatrial.load.pacer.one_step_connection import OneStepConnection
from seatrial.load.plan import Destination, Plan
from seatrial.load.samples import Outcome
from seatrial.load.schedules import make_schedule

Serve = Callable[..., int]
SCRIPTING = runpy.run_path(str(Path(__file__).with_name("scripting.py")))
make_response, AFTER, BOUND_BYTES, FRAMINGS, STATUSES = (
    SCRIPTING[name] for name in ("make_response", "AFTER", "BOUND_BYTES", "FRAMINGS", "STATUSES")
)
End = tuple[Outcome, int, bytes, str, bool]


class Journal:
    """Who is told how requests end."""

    def __init__(self) -> None:
        self.ends: list[End] = []

    def request_ended(self, connection: Connection, outcome: Outcome) -> None:
        assert connection.request >= 0
        assert connection.sent_ns <= connection.last_ns
        self.ends.append((outcome, connection.status, connection.body, connection.content_type, connection.reusable))
        assert len(connection.body) == connection.body_bytes or outcome is Outcome.MALFORMED
        connection.request = -1

    def lingered(self, connection: Connection) -> None:
        raise AssertionError(connection)

    def move(self, connection: Connection) -> None:
        raise AssertionError(connection)


class Wire(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True


def ask(connection: Connection, response: bytes, cuts: list[int]) -> None:
    """Send a request on a connection, and give it the response in pieces, or what of it there is, then the end."""
    connection.send(1, 0, 0, b"question")
    places = sorted({min(cut, len(response)) for cut in cuts} | {0, len(response)})
    for begin, end in itertools.pairwise(places):
        if connection.request < 0:
            break
        connection.data_received(response[begin:end])
    if connection.request >= 0:
        connection.connection_lost(None)


responses = st.tuples(
    st.builds(
        make_response,
        st.sampled_from(STATUSES),
        st.sampled_from(FRAMINGS),
        st.binary(max_size=BOUND_BYTES + 8),
    ),
    st.sampled_from(AFTER),
    st.lists(st.integers(0, 200), max_size=3),
    st.integers(0, 8).map(lambda drawn: drawn == 0),
)


@given(st.lists(responses, min_size=1, max_size=6))
def test_it_reads_what_a_parser_reads(asked: list[tuple[bytes, bytes, list[int], bool]]) -> None:
    known = KnownHeads()
    for response, *_ in asked:
        primed = OneStepConnection(Journal(), 0, max_body_bytes=BOUND_BYTES, known=known)
        primed.connection_made(Wire())
        ask(primed, response, [])
    for response, after, cuts, is_cut in asked:
        told: list[list[End]] = []
        for make in (
            lambda journal: HttpConnection(journal, 0, max_body_bytes=BOUND_BYTES),
            lambda journal: OneStepConnection(journal, 0, max_body_bytes=BOUND_BYTES, known=known),
        ):
            journal = Journal()
            connection = make(journal)
            connection.connection_made(Wire())
            ask(connection, response[:-1] if is_cut else response + after, cuts)
            told.append(journal.ends)
        assert told[0] == told[1]
        assert len(told[0]) == 1


def test_a_head_that_was_read_once_is_known_and_its_body_is_read_anew() -> None:
    known, journal = KnownHeads(), Journal()
    connection = OneStepConnection(journal, 0, max_body_bytes=BOUND_BYTES, known=known)
    connection.connection_made(Wire())
    for body in (b"one", b"two", b"six"):
        ask(connection, make_response(b"200 OK", "length", body), [])

    assert len(known) == 1
    assert [end[2] for end in journal.ends] == [b"one", b"two", b"six"]
    assert {end[4] for end in journal.ends} == {True}


@pytest.mark.parametrize("framing", ["chunked", "until-close", "interim", "closing"])
def test_heads_that_do_not_tell_where_the_body_ends_are_not_known(framing: str) -> None:
    known = KnownHeads()
    connection = OneStepConnection(Journal(), 0, max_body_bytes=BOUND_BYTES, known=known)
    connection.connection_made(Wire())
    ask(connection, make_response(b"200 OK", framing, b"fine"), [])

    assert not known


def test_heads_that_never_come_again_take_no_more_room_than_some() -> None:
    known = KnownHeads()
    for number in range(3 * MOST):
        known.learn(b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: 1\r\n\r\nx" % number, 1, 200, "")

    assert 0 < len(known) <= MOST


def test_bytes_after_a_response_that_was_given_up_end_nothing() -> None:
    journal, wire = Journal(), Wire()
    connection = OneStepConnection(journal, 0, max_body_bytes=BOUND_BYTES, known=KnownHeads())
    connection.connection_made(wire)
    connection.send(1, 0, 0, b"question")
    connection.give_up(Outcome.TIMED_OUT)
    connection.data_received(make_response(b"200 OK", "length", b"late"))

    assert [end[0] for end in journal.ends] == [Outcome.TIMED_OUT]
    assert wire.aborted


def test_what_the_socket_does_not_take_is_left_with_the_transport_in_order() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)

        class Held(Wire):
            def get_extra_info(self, name: str, default: object = None) -> object:
                return here if name == "socket" else default

        connection = OneStepConnection(Journal(), 0, max_body_bytes=BOUND_BYTES, known=KnownHeads())
        wire = Held()
        connection.connection_made(wire)
        request = os.urandom(4 << 20)
        connection.send(1, 0, 0, request)
        taken = len(request) - len(wire.written)
        connection.request = -1
        connection.send(2, 0, 0, b"next")

        assert 0 < taken < len(request)
        assert wire.written == request[taken:] + b"next"
        assert read_bytes(there, taken) == request[:taken]


def read_bytes(end: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        read += end.recv(count - len(read))
    return read


def test_a_second_answer_that_nobody_asked_for_answers_nothing(serve: Serve, tmp_path: Path) -> None:
    run = run_closed(serve("twice"), tmp_path, make_posts(4, 10))

    assert {Outcome(value) for value in run.samples["outcome"]} == {Outcome.ANSWERED}
    assert {answer.case: answer.body for answer in run.answers} == {case: b"%d" % case * 10 for case in range(4)}
    # Each connection carries one answer: what came after it ended it.
    assert run.done.connections_opened >= len(run.samples)


def test_a_request_of_megabytes_arrives_whole(serve: Serve, tmp_path: Path) -> None:
    posts = make_posts(2, 6_000_000)
    schedule = make_schedule(Constant(rate=4.0), duration_s=1.0, seed=1)
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=serve("echo")),
        requests=posts,
        cases=(0, 1),
        mode="open",
        duration_s=1.0,
    )
    run = run_pacer(plan, schedule.offsets_ns, directory=tmp_path)

    assert {Outcome(value) for value in run.samples["outcome"]} == {Outcome.ANSWERED}
    assert {answer.case: answer.body for answer in run.answers} == {case: b"%d" % case * 6_000_000 for case in range(2)}


def make_posts(count: int, length: int) -> tuple[bytes, ...]:
    bodies = [b"%d" % case * length for case in range(count)]
    return tuple(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies)


def run_closed(port: int, directory: Path, requests: tuple[bytes, ...]) -> PacerRun:
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=port),
        requests=requests,
        cases=tuple(range(len(requests))),
        mode="closed",
        users=2,
        duration_s=0.5,
    )
    return run_pacer(plan, None, directory=directory)
