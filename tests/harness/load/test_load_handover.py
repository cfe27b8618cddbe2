"""What goes the short way from answer to next request says what it would say over a transport."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from seatrial.load.pacer import handover
from seatrial.load.pacer.cases import Cases
from seatrial.load.pacer.connection import now_ns
from seatrial.load.pacer.engine import TOLD
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.samples import NEVER, Outcome, read_samples

SCRIPTING = runpy.run_path(str(Path(__file__).with_name("scripting.py")))
GOOD, REQUESTS, Step, Watched, close, make_response, run_script, steps = (
    SCRIPTING[name] for name in ("GOOD", "REQUESTS", "Step", "Watched", "close", "make_response", "run_script", "steps")
)
pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here")
MakeLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
FINE = Step((GOOD,))
CHUNKED = make_response(b"200 OK", "chunked", b"fine")
ODD = {
    "closed mid-answer": Step((GOOD[:-2],), closes=True),
    "closed mid-head": Step((GOOD[:9],), closes=True),
    "closed without a byte": Step((), closes=True),
    "in pieces": Step((GOOD[:20], GOOD[20:-3], GOOD[-3:])),
    "head and body apart": Step((GOOD[:-4], GOOD[-4:])),
    "closes afterwards": Step((make_response(b"200 OK", "closing", b"fine"),), closes=True),
    "closes without a word": Step((GOOD,), closes=True),
    "until the end": Step((make_response(b"200 OK", "until-close", b"fine"),), closes=True),
    "chunked": Step((CHUNKED,)),
    "chunked, in pieces": Step((CHUNKED[:-8], CHUNKED[-8:])),
    "an answer that nobody asked for": Step((GOOD + GOOD,)),
    "an endless body": Step((CHUNKED[: -len(b"4\r\nfine\r\n0\r\n\r\n")], *[b"40\r\n" + b"x" * 64 + b"\r\n"] * 9)),
    "an interim head": Step((make_response(b"200 OK", "interim", b"fine"),)),
    "no HTTP": Step((b"220 mail.example ESMTP\r\n",)),
    "a refusal": Step((make_response(b"503 Busy", "length", b"busy"),)),
    "another head": Step((make_response(b"200 OK", "length", b"quite otherwise"),)),
    "another body": Step((make_response(b"200 OK", "length", b"four"),)),
}


@LOOPS
def test_a_server_that_answers_alike_is_asked_the_short_way(make_loop: MakeLoop) -> None:
    result = run_script([FINE] * 50, make_loop=make_loop, is_short=True)

    # The first answer's head is parsed, the second's is known, and has the connection join.
    assert result.short == 48
    assert result.counts["sent"] == result.counts["ended"] == 51
    assert [record[5] for record in result.records] == [0] * 50 + [7]
    assert [record[1] for record in result.records] == [0, 1] * 25 + [0]


@LOOPS
@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_comes_out_the_same_both_ways(make_loop: MakeLoop, odd: str) -> None:
    script = [*[FINE] * 5, ODD[odd], *[FINE] * 5, ODD[odd], ODD[odd], ODD[odd], *[FINE] * 3]
    short = run_script(script, make_loop=make_loop, is_short=True)
    long = run_script(script, make_loop=make_loop, is_short=False)

    assert (short.records, short.answers, short.counts) == (long.records, long.answers, long.counts)
    assert (short.short > 0, long.short) == (True, 0)


@LOOPS
@pytest.mark.parametrize("size_bytes", [4, 3000])
@pytest.mark.parametrize("before", range(6))
def test_the_end_of_a_connection_is_no_answer_whatever_came_before(
    make_loop: MakeLoop, before: int, size_bytes: int
) -> None:
    fine = Step((make_response(b"200 OK", "length", b"f" * size_bytes),))
    script = [*[fine] * before, Step((), closes=True), *[fine] * 5]
    short, long = (
        run_script(script, make_loop=make_loop, is_short=is_short, max_body_bytes=1 << 20) for is_short in (True, False)
    )

    assert (short.records, short.answers, short.counts) == (long.records, long.answers, long.counts)
    assert short.short > 0


@LOOPS
@pytest.mark.parametrize("more_bytes", [-1, 0, 1])
def test_a_second_answer_behind_one_as_long_as_a_short_read_is_the_first_ones(
    make_loop: MakeLoop, more_bytes: int
) -> None:
    head_bytes = len(make_response(b"200 OK", "length", b"-" * 400)) - 400
    edge = make_response(b"200 OK", "length", b"e" * (handover._SHORT_BYTES + more_bytes - head_bytes))
    # The latest one that was looked into is short, and so is what the next read takes.
    script = [*[Step((edge,)), FINE] * 4, Step((edge,)), ODD["another body"], Step((edge + edge,)), *[FINE] * 5]
    short, long = (
        run_script(script, make_loop=make_loop, is_short=is_short, max_body_bytes=1 << 20) for is_short in (True, False)
    )

    assert (short.records, short.answers, short.counts) == (long.records, long.answers, long.counts)
    assert short.short > 0


@given(st.lists(st.one_of(st.just(FINE), steps), max_size=8))
def test_any_script_comes_out_the_same_both_ways(script: list[Any]) -> None:
    whole = [FINE, FINE, FINE, *script, FINE]
    short = run_script(whole, make_loop=uvloop.new_event_loop, is_short=True)
    long = run_script(whole, make_loop=uvloop.new_event_loop, is_short=False)

    assert (short.records, short.answers, short.counts) == (long.records, long.answers, long.counts)
    assert short.short > 0


HEADS = (b"HEAD /one HTTP/1.1\r\nHost: x\r\n\r\n",)
HEAD_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"


@LOOPS
@pytest.mark.parametrize("is_short", [False, True])
@pytest.mark.parametrize(
    ("answer", "opened"),
    [
        (HEAD_ANSWER + b"\r\n", 1),
        (HEAD_ANSWER + b"Connection: close\r\n\r\n", 9),
        (HEAD_ANSWER + b"\r\nfine", 9),
    ],
    ids=["kept", "closing", "a body that nobody asked for"],
)
def test_a_head_that_was_asked_for_keeps_its_connection_unless_it_says_otherwise(
    make_loop: MakeLoop, answer: bytes, opened: int, is_short: bool
) -> None:
    result = run_script([Step((answer,))] * 8, make_loop=make_loop, is_short=is_short, requests=HEADS, cases=(0,))

    assert [record[5] for record in result.records] == [Outcome.ANSWERED] * 8 + [Outcome.CENSORED]
    assert {record[0] for record in result.records} == {0}
    assert result.counts["opened"] == opened
    assert (result.short > 0) == (is_short and opened == 1)


@LOOPS
def test_heads_that_were_there_before_take_turns(make_loop: MakeLoop) -> None:
    script = [FINE, ODD["another head"]] * 10
    short, long = (run_script(script, make_loop=make_loop, is_short=is_short) for is_short in (True, False))

    assert (short.records, short.answers) == (long.records, long.answers)
    assert short.short == 17


@LOOPS
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("small", [0, 3])
def test_requests_that_a_socket_does_not_take_at_once_come_out_the_same(
    make_loop: MakeLoop, small: int, early: bool
) -> None:
    large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000
    posts = (*[REQUESTS[0]] * small, large)
    script = [Step((GOOD,), early=early)] * 8
    short, long = (
        run_script(script, make_loop=make_loop, is_short=is_short, requests=posts, cases=range(len(posts)))
        for is_short in (True, False)
    )

    assert (short.records, short.answers, short.counts) == (long.records, long.answers, long.counts)
    assert len(short.records) == len(script) + 1
    # It goes the short way until the large one has to be left with the transport.
    assert short.short == (1 if small else 0)


@LOOPS
@pytest.mark.parametrize("error", [BlockingIOError, ConnectionResetError])
def test_what_cannot_be_read_is_left_with_the_transport(make_loop: MakeLoop, error: type[OSError]) -> None:
    reads = 0

    def read(descriptor: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads == 3:
            raise error
        return read_socket(descriptor, length)

    read_socket = os.read
    with patch.object(handover.os, "read", read):
        result = run_script([FINE] * 9, make_loop=make_loop, is_short=True)

    assert [record[5] for record in result.records] == [0] * 9 + [7]
    assert (result.counts["reasked"], result.counts["opened"], result.short) == (0, 1, 6)


@LOOPS
def test_timers_and_orders_are_served_while_answers_never_cease(make_loop: MakeLoop, tmp_path: Path) -> None:
    async def tick(engine: Any, there: socket.socket) -> int:
        ticks = 0
        while now_ns() < engine.window_end_ns:
            await asyncio.sleep(0.01)
            ticks += 1
            swallow(there)
        return ticks

    with asyncio.Runner(loop_factory=make_loop) as runner:
        engine, ticks = runner.run(ask_without_cease(tmp_path, tick))
    samples = read_samples(tmp_path / SAMPLES_FILE)

    assert engine.short > 100
    assert ticks >= 3
    assert (samples["intended_ns"] < engine.window_end_ns).all()
    assert set(samples["outcome"]) == {Outcome.ANSWERED}
    assert ((samples["phase"] == 1) == (samples["intended_ns"] < engine.window_begin_ns)).all()
    assert set(samples["phase"]) == {0, 1}


@LOOPS
def test_nothing_is_sent_after_the_order_to_stop(make_loop: MakeLoop, tmp_path: Path) -> None:
    async def stop(engine: Any, there: socket.socket) -> int:
        await see_short(engine, there, 10)
        engine.stop("enough")
        return int(engine.sent)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        engine, sent = runner.run(ask_without_cease(tmp_path, stop))

    assert (engine.sent, engine.ended, engine.in_flight) == (sent, sent, 0)


@LOOPS
def test_an_answer_that_comes_when_its_request_was_given_up_is_no_answer(make_loop: MakeLoop, tmp_path: Path) -> None:
    async def give_up(engine: Any, there: socket.socket) -> None:
        await see_short(engine, there, 10)
        (connection,) = engine.connections
        connection.give_up(Outcome.TIMED_OUT)
        for _ in range(4):
            await asyncio.sleep(0)
        engine.stop(TOLD)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        engine, _ = runner.run(ask_without_cease(tmp_path, give_up))
    samples = read_samples(tmp_path / SAMPLES_FILE)
    outcomes = samples["outcome"][samples["connection"] == 0].tolist()

    assert outcomes == [Outcome.ANSWERED] * (len(outcomes) - 1) + [Outcome.TIMED_OUT]
    assert np.count_nonzero(samples["sent_ns"] != NEVER) == engine.sent
    # Its user may have had no other connection yet at the end.
    assert len(samples) == engine.scheduled


@LOOPS
def test_answers_between_failures_are_answers(make_loop: MakeLoop, tmp_path: Path) -> None:
    async def fail(engine: Any, there: socket.socket) -> None:
        for _ in range(3):
            engine.fail_unsent(0, now_ns(), Outcome.UNCONNECTED)
            await see_short(engine, there, engine.short + 10)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        engine, _ = runner.run(ask_without_cease(tmp_path, fail, max_failures=2))

    assert (engine.failed, engine.stopped) == (3, "")


async def see_short(engine: Any, there: socket.socket, count: int) -> None:
    """Return when so many requests went the short way; the server reads meanwhile."""
    while engine.short < count:
        assert now_ns() < engine.window_end_ns
        await asyncio.sleep(0.001)
        swallow(there)


def swallow(there: socket.socket) -> None:
    """Read what is there."""
    with contextlib.suppress(BlockingIOError):
        there.recv(1 << 20)


async def ask_without_cease(
    directory: Path, watch: Callable[[Any, socket.socket], Any], **changes: Any
) -> tuple[Any, Any]:
    """Ask for a second what is answered as soon as it is asked; returns the engine, and what it was watched to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = Plan(
            destination=Destination(host="127.0.0.1", port=listener.getsockname()[1]),
            requests=REQUESTS,
            cases=(0, 1),
            mode="closed",
            users=1,
            warm_up_s=0.1,
            duration_s=1.0,
            **changes,
        )
        recorder = Recorder(directory, keep_bodies_bytes=1 << 20)
        engine = Watched(plan, recorder)
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await engine.prepare()
        there, _ = listener.accept()
        there.setblocking(False)

        class Answered(list[bytes]):
            """Requests that are answered when they are looked up, which is right before they are written."""

            def __getitem__(self, case: Any) -> Any:
                with contextlib.suppress(OSError):
                    there.send(GOOD)
                return super().__getitem__(case)

        with there:
            engine.requests = Answered(REQUESTS)
            running = asyncio.create_task(engine.run(now_ns()))
            await asyncio.sleep(0)
            seen = await watch(engine, there)
            await running
            await close([connection.transport for connection in engine.connections])
    recorder.close()
    assert not errors
    return engine, seen


@given(
    st.lists(st.integers(0, 3), min_size=1),
    st.integers(1, 8),
    st.lists(st.lists(st.integers(0, 7), min_size=1, unique=True), min_size=1, max_size=20),
)
def test_a_case_that_is_passed_on_is_given_back_and_the_next_one_taken(
    cases: list[int], users: int, ended: list[list[int]]
) -> None:
    one, two = Cases(tuple(cases)), Cases(tuple(cases))
    flying = [one.take(request) for request in range(users)]
    assert flying == [two.take(request) for request in range(users)]
    request = users
    for places in [[place % users for place in some if place < users] for some in ended]:
        for place in places:
            back = flying[place]
            two.give_back(back)
            flying[place] = two.take(request)
            assert one.pass_on(back, request) == flying[place]
            request += 1
        assert one.doubled == two.doubled


@given(st.integers(1, 4), st.lists(st.integers(1, 9), min_size=1))
def test_the_only_case_is_passed_on_as_one_of_many_is(users: int, times: list[int]) -> None:
    one, two = Cases((5, 5)), Cases((5,))
    assert one.is_one
    assert not Cases((5, 6)).is_one
    assert [one.take(number) for number in range(users)] == [two.take(number) for number in range(users)]
    for count in times:
        one.pass_on_only(count)
        for number in range(count):
            two.pass_on(5, number)
    one.give_back(5)
    two.give_back(5)

    assert (one.take(0), one.doubled) == (two.take(0), two.doubled)
