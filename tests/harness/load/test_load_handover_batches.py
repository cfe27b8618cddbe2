"""Several users whose answers come together: each asks again before the next is read, and one that is odd is alone in that."""

from __future__ import annotations

import asyncio
import os
import runpy
import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import pytest
import uvloop

from seatrial.load.pacer import closed_loop, handover
from seatrial.load.pacer.connection import now_ns
from seatrial.load.pacer.engine import TOLD
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.samples import NO_ANSWER, Outcome, read_samples

SCRIPTING = runpy.run_path(str(Path(__file__).with_name("scripting.py")))
GOOD, REQUESTS, Step, Watched, close, make_response = (
    SCRIPTING[name] for name in ("GOOD", "REQUESTS", "Step", "Watched", "close", "make_response")
)
pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here")
MakeLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
USERS = 5
ROUNDS = 8
SHORT = (ROUNDS - 1) * USERS - 1
"""Requests that follow the short way: not those after the first round, nor the second one of whose first answer the head is."""
FINE = Step((GOOD,))
ODD = {
    "closed mid-answer": Step((GOOD[:-2],), closes=True),
    "closed without a byte": Step((), closes=True),
    "closes afterwards": Step((GOOD,), closes=True),
    "an answer that nobody asked for": Step((GOOD + GOOD,)),
    "a refusal": Step((make_response(b"503 Busy", "length", b"busy"),)),
    "another head": Step((make_response(b"200 OK", "length", b"quite otherwise"),)),
    "another body": Step((make_response(b"200 OK", "length", b"four"),)),
    "no HTTP": Step((b"220 mail.example ESMTP\r\n",)),
}


class Rounds:
    """A server that answers when all users have asked, one step each in the order of their asking; ends after the last round."""

    def __init__(self, rounds: Sequence[Sequence[Any]], users: int) -> None:
        self._rounds = list(rounds)
        self._users = users
        self._asking: list[asyncio.Transport] = []
        self.transports: list[asyncio.Transport | None] = []
        self.end: Callable[[], None] = lambda: None

    def ask(self, transport: asyncio.Transport) -> None:
        self._asking.append(transport)
        if len(self._asking) < self._users:
            return
        asking, self._asking = self._asking, []
        if not self._rounds:
            self.end()
            return
        for who, step in zip(asking, self._rounds.pop(0), strict=True):
            who.write(b"".join(step.pieces))
            if step.closes:
                who.close()


class Seat(asyncio.Protocol):
    """One connection of it."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._rounds.transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        assert data in REQUESTS
        self._rounds.ask(self._transport)


class Seen(NamedTuple):
    """What a run says but for its times and for which connection was whose."""

    records: Counter[tuple[int, ...]]
    counts: dict[str, int]
    short: int
    in_flight_s: tuple[float, float]
    """Summed over all requests, by the gauge and by the records."""


def run_rounds(
    rounds: Sequence[Sequence[Any]], make_loop: MakeLoop, directory: Path, *, is_short: bool, users: int = USERS
) -> Seen:
    directory.mkdir()
    with asyncio.Runner(loop_factory=make_loop) as runner, patch.object(closed_loop, "EXISTS", is_short):
        return runner.run(_run(rounds, directory, users))


async def _run(rounds: Sequence[Sequence[Any]], directory: Path, users: int) -> Seen:
    host = Rounds(rounds, users)
    server = await asyncio.get_running_loop().create_server(lambda: Seat(host), "127.0.0.1", 0)
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=server.sockets[0].getsockname()[1]),
        requests=REQUESTS[:1],
        cases=(0,),
        mode="closed",
        users=users,
        duration_s=60.0,
    )
    recorder = Recorder(directory, keep_bodies_bytes=1 << 20)
    engine = Watched(plan, recorder)
    host.end = lambda: engine.stop(TOLD)
    await engine.prepare()
    await engine.run(now_ns())
    counted_ns = engine.in_flight_area_ns
    recorder.close()
    server.close()
    await close(host.transports + [connection.transport for connection in engine.connections])
    samples = read_samples(directory / SAMPLES_FILE)
    fields = [samples[name].tolist() for name in ("size_bytes", "case", "answer", "status", "outcome", "phase")]
    names = ("sent", "ended", "failed", "opened", "reasked", "scheduled", "in_flight")
    return Seen(
        records=Counter(zip(*fields, strict=True)),
        counts={name: getattr(engine, name) for name in names},
        short=engine.short,
        in_flight_s=(counted_ns / 1e9, (samples["last_ns"] - samples["sent_ns"]).sum() / 1e9),
    )


@LOOPS
@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_among_others_comes_out_the_same_both_ways(
    make_loop: MakeLoop, odd: str, place: int, tmp_path: Path
) -> None:
    mixed = [FINE] * USERS
    mixed[place] = ODD[odd]
    rounds = [*[[FINE] * USERS] * 4, mixed, *[[FINE] * USERS] * 3]
    short = run_rounds(rounds, make_loop, tmp_path / "short", is_short=True)
    long = run_rounds(rounds, make_loop, tmp_path / "long", is_short=False)

    assert (short.records, short.counts) == (long.records, long.counts)
    assert long.short == 0
    assert short.short >= 3 * USERS


@LOOPS
@pytest.mark.parametrize("size_bytes", [10, 3000])
def test_answers_that_take_turns_are_told_apart_whatever_their_size(
    make_loop: MakeLoop, size_bytes: int, tmp_path: Path
) -> None:
    rounds = take_turns(size_bytes, size_bytes)
    short = run_rounds(rounds, make_loop, tmp_path / "short", is_short=True)
    long = run_rounds(rounds, make_loop, tmp_path / "long", is_short=False)

    assert short.records == long.records
    assert short.short == SHORT
    assert Counter(record[2] for record in short.records.elements()) == {0: 20, 1: 20, NO_ANSWER: USERS}


HEAD_BYTES = len(make_response(b"200 OK", "length", b"-" * 400)) - 400
EDGES = [handover._SHORT_BYTES + more - HEAD_BYTES for more in (-1, 0, 1)]
"""Bodies of responses that are just shorter than what is asked for of a short one, as long, and longer."""


@LOOPS
@pytest.mark.parametrize("first_bytes", [*EDGES, 10, 3000, 200_000])
@pytest.mark.parametrize("second_bytes", EDGES)
def test_an_answer_of_another_length_than_the_latest_is_read_whole(
    make_loop: MakeLoop, first_bytes: int, second_bytes: int, tmp_path: Path
) -> None:
    rounds = take_turns(first_bytes, second_bytes)
    short = run_rounds(rounds, make_loop, tmp_path / "short", is_short=True)
    long = run_rounds(rounds, make_loop, tmp_path / "long", is_short=False)

    assert short.records == long.records
    # What comes in pieces goes the other way.
    assert short.short >= SHORT - USERS or first_bytes == 200_000
    assert Counter(record[0] for record in short.records.elements())[second_bytes] >= 20


def take_turns(first_bytes: int, second_bytes: int) -> list[list[Any]]:
    one, two = (
        Step((make_response(b"200 OK", "length", byte * size),))
        for byte, size in ((b"1", first_bytes), (b"2", second_bytes))
    )
    return [[one, two, one, one, two], [two, one, one, two, two]] * (ROUNDS // 2)


@LOOPS
@pytest.mark.parametrize("odd", ODD)
def test_turns_that_follow_one_another_come_to_the_same(make_loop: MakeLoop, odd: str, tmp_path: Path) -> None:
    rounds = [*[[FINE] * USERS] * 4, [FINE, FINE, ODD[odd], FINE, FINE], *[[FINE] * USERS] * 3]
    with patch.object(handover, "_SLICE_NS", 0), patch.object(handover, "_BATCH", 1):
        short = run_rounds(rounds, make_loop, tmp_path / "short", is_short=True)
    long = run_rounds(rounds, make_loop, tmp_path / "long", is_short=False)

    assert (short.records, short.counts) == (long.records, long.counts)
    assert short.short >= 3 * USERS


@LOOPS
@pytest.mark.parametrize("slice_ns", [0, 10**9], ids=["turns that follow one another", "turns that are waited for"])
def test_a_turn_that_fails_is_not_the_last_one(make_loop: MakeLoop, slice_ns: int, tmp_path: Path) -> None:
    def fail_once(recorder: Recorder, records: Sequence[bytes]) -> None:
        appended.append(len(records))
        append(recorder, records)
        if not failed and sum(appended) > 3 * USERS:
            failed.append(len(appended))
            raise OSError("there is no room")

    appended: list[int] = []
    failed: list[int] = []
    append = Recorder.append
    with (
        patch.object(handover, "_SLICE_NS", slice_ns),
        patch.object(handover, "_BATCH", 1),
        patch.object(Recorder, "append", fail_once),
        patch.object(asyncio.BaseEventLoop, "default_exception_handler", lambda *_: None),
    ):
        seen = run_rounds([[FINE] * USERS] * ROUNDS, make_loop, tmp_path / "short", is_short=True)

    assert failed
    assert sum(appended) == seen.short == SHORT
    assert seen.counts["ended"] == (ROUNDS + 1) * USERS


@LOOPS
def test_whoever_was_answered_asks_again_before_the_next_answer_is_read(make_loop: MakeLoop, tmp_path: Path) -> None:
    def read(descriptor: int, length: int) -> bytes:
        calls.append("read")
        return read_socket(descriptor, length)

    def write(descriptor: int, data: bytes) -> int:
        calls.append("write")
        return write_socket(descriptor, data)

    calls: list[str] = []
    read_socket, write_socket = os.read, os.write
    with patch.object(handover.os, "read", read), patch.object(handover.os, "write", write):
        seen = run_rounds([[FINE] * USERS] * ROUNDS, make_loop, tmp_path / "short", is_short=True)

    assert seen.short == SHORT
    assert calls[-12 * USERS :] == ["read", "write"] * (6 * USERS)


@LOOPS
@pytest.mark.parametrize("error", [BlockingIOError, BrokenPipeError])
@pytest.mark.parametrize("place", [1, 3])
def test_who_cannot_be_sent_to_leaves_and_the_others_go_on(
    make_loop: MakeLoop, error: type[OSError], place: int, tmp_path: Path
) -> None:
    def write(descriptor: int, data: bytes) -> int:
        nonlocal asked
        if data in REQUESTS:
            asked += 1
            # After the fourth round's answers.
            if asked == 4 * USERS + place:
                raise error
        return write_socket(descriptor, data)

    asked = 0
    write_socket = os.write
    with patch.object(handover.os, "write", write):
        seen = run_rounds([[FINE] * USERS] * ROUNDS, make_loop, tmp_path / "short", is_short=True)

    outcomes = {record[4]: count for record, count in seen.records.items()}
    assert outcomes == {Outcome.ANSWERED: ROUNDS * USERS, Outcome.CENSORED: USERS}
    assert seen.counts["opened"] == USERS
    # It goes through its transport for the four rounds that are left, and nobody else does.
    assert seen.short == SHORT - 4


SLOW = [(os, "read"), (os, "write"), (Recorder, "identify"), (Recorder, "append")]


@LOOPS
@pytest.mark.parametrize("users", [1, USERS])
@pytest.mark.parametrize(("where", "slow"), SLOW, ids=[name for _, name in SLOW])
def test_the_gauge_knows_how_long_nothing_was_in_flight_between_answers_and_the_next_requests(
    make_loop: MakeLoop, where: Any, slow: str, users: int, tmp_path: Path
) -> None:
    def take_long(*arguments: Any) -> Any:
        until_s = time.perf_counter() + 0.002
        while time.perf_counter() < until_s:
            pass
        return call(*arguments)

    call = getattr(where, slow)
    rounds = [
        [Step((make_response(b"200 OK", "length", b"%06d" % (number * users + who)),)) for who in range(users)]
        for number in range(40)
    ]
    with patch.object(where, slow, take_long):
        seen = run_rounds(rounds, make_loop, tmp_path / "short", is_short=True, users=users)

    counted_s, recorded_s = seen.in_flight_s
    assert seen.short > 30 * users
    # Once in the parser's way at the beginning, each user's answer takes its time before the gauge hears of it.
    assert counted_s == pytest.approx(recorded_s, rel=0.02, abs=0.003 * users)
