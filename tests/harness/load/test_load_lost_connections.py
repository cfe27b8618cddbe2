"""Connections that die, or cannot be made, lose no user, no place and no record."""

from __future__ import annotations

import asyncio
import runpy
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest
import uvloop

from seatrial.load.analysis import analyse
from seatrial.load.driver import run_pacer
from seatrial.load.judging import judge
from seatrial.load.objectives import Objectives
from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.open_loop import OpenLoop
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.ranking import rank_requests
from seatrial.load.samples import NEVER, Outcome, read_samples
from seatrial.load.saturation import find_saturation
from seatrial.load.validity import find_flaws

SCRIPTING = runpy.run_path(str(Path(__file__).with_name("scripting.py")))
GOOD, REQUESTS, Step, Watched, close, make_response, run_script = (
    SCRIPTING[name] for name in ("GOOD", "REQUESTS", "Step", "Watched", "close", "make_response", "run_script")
)
MakeLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
FINE = Step((GOOD,))
LOST = Step((), closes=True)
OUTCOME = 5


def refuse(engine_class: Any, openings: Sequence[int], *, hangs: bool = False) -> Any:
    """Have no connection made at some of an engine's openings, which fail or come to no end."""
    open_one = engine_class.open
    count = 0

    async def open_unless_refused(engine: Any) -> Any:
        nonlocal count
        count += 1
        if count - 1 in openings:
            if hangs:
                await asyncio.Event().wait()
            raise ConnectionRefusedError
        return await open_one(engine)

    return patch.object(engine_class, "open", open_unless_refused)


@LOOPS
def test_a_user_whose_connection_died_asks_on_when_it_could_not_be_replaced_at_first(make_loop: MakeLoop) -> None:
    with refuse(Watched, openings=[1]):
        script = [FINE, FINE, LOST, FINE, FINE]
        result = run_script(script, make_loop=make_loop, is_short=False, duration_s=3.0)

    answered, lost = Outcome.ANSWERED, Outcome.TRUNCATED
    assert [each[OUTCOME] for each in result.records] == [
        answered,
        answered,
        lost,
        answered,
        answered,
        Outcome.CENSORED,
    ]
    assert result.counts["reasked"] == 0


@LOOPS
def test_a_user_without_a_connection_tries_again(make_loop: MakeLoop) -> None:
    with refuse(Watched, openings=[1, 2, 3]):
        result = run_script([FINE, LOST, FINE], make_loop=make_loop, is_short=False, duration_s=5.0)

    outcomes = [each[OUTCOME] for each in result.records]
    unmade = [Outcome.UNCONNECTED] * 2
    assert outcomes == [Outcome.ANSWERED, Outcome.TRUNCATED, *unmade, Outcome.ANSWERED, Outcome.CENSORED]


class Server(asyncio.Protocol):
    """One connection of a server that answers the first request, and closes some time after the second without a byte."""

    def __init__(self, holds_s: float) -> None:
        self._holds_s = holds_s
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        del data
        self._count += 1
        if self._count == 1:
            self._transport.write(GOOD)
        else:
            asyncio.get_running_loop().call_later(self._holds_s, self._transport.abort)


class Scheduled(OpenLoop):
    """Shows the connections that were opened."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made: list[Connection] = []

    async def open(self) -> Connection:
        self.made.append(await super().open())
        return self.made[-1]


async def send(offsets_s: Sequence[float], directory: Path, *, holds_s: float = 0.0, **changes: Any) -> Scheduled:
    """Send at times; the samples are in the directory afterwards."""
    server = await asyncio.get_running_loop().create_server(lambda: Server(holds_s), "127.0.0.1", 0)
    fields: dict[str, Any] = {"connections": 0, "drain_s": 2.0} | changes
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=server.sockets[0].getsockname()[1]),
        requests=REQUESTS,
        cases=(0, 1),
        mode="open",
        duration_s=max(offsets_s) + 0.1,
        **fields,
    )
    recorder = Recorder(directory, keep_bodies_bytes=1 << 20)
    engine = Scheduled(plan, recorder, (np.array(offsets_s) * 1e9).astype(np.int64), np.empty(0, np.int64))
    await engine.prepare()
    await engine.run(now_ns())
    recorder.close()
    server.close()
    await close([connection.transport for connection in engine.made])
    return engine


@LOOPS
def test_a_connection_that_could_not_be_replaced_leaves_its_place_to_others(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner, refuse(Scheduled, openings=[1]):
        runner.run(send([0.0, 0.1, 0.2], tmp_path, max_connections=1))

    outcomes = read_samples(tmp_path / SAMPLES_FILE)["outcome"].tolist()
    assert outcomes == [Outcome.ANSWERED, Outcome.TRUNCATED, Outcome.ANSWERED]


@LOOPS
def test_a_request_that_was_lost_and_could_not_be_asked_again_is_in_gauge_and_records(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner, refuse(Scheduled, openings=[1]):
        engine = runner.run(send([0.0, 0.1, 0.5], tmp_path, holds_s=0.2))
    samples = read_samples(tmp_path / SAMPLES_FILE)

    took_ns = samples["last_ns"] - samples["sent_ns"]
    assert samples["outcome"].tolist() == [Outcome.ANSWERED, Outcome.TRUNCATED, Outcome.ANSWERED]
    assert took_ns[1] >= 199_000_000
    assert abs(int(took_ns.sum()) - engine.in_flight_area_ns) < 20_000_000


@LOOPS
def test_a_user_whose_connection_was_closed_before_the_start_has_another(make_loop: MakeLoop) -> None:
    prepare = Watched.prepare

    async def prepare_and_lose(engine: Any) -> None:
        await prepare(engine)
        await close([connection.transport for connection in engine.connections])
        assert not any(connection.reusable for connection in engine.connections)

    with patch.object(Watched, "prepare", prepare_and_lose):
        result = run_script([FINE, FINE], make_loop=make_loop, is_short=False, users=2, duration_s=3.0)

    outcomes = [each[OUTCOME] for each in result.records]
    assert outcomes == [Outcome.ANSWERED] * 2 + [Outcome.CENSORED] * 2
    assert (result.counts["opened"], result.counts["reasked"]) == (4, 0)


@LOOPS
@pytest.mark.parametrize("end", ["closing", "lost"])
def test_a_user_that_waits_for_a_connection_at_the_end_leaves_a_record(make_loop: MakeLoop, end: str) -> None:
    last = LOST if end == "lost" else Step((make_response(b"200 OK", "closing", b"fine"),))
    with refuse(Watched, openings=[1], hangs=True):
        result = run_script([FINE, last, FINE], make_loop=make_loop, is_short=False, duration_s=0.3, drain_s=0.1)

    pending = [Outcome.TRUNCATED] if end == "lost" else [Outcome.ANSWERED, Outcome.CENSORED]
    assert [each[OUTCOME] for each in result.records] == [Outcome.ANSWERED, *pending]
    assert result.counts["scheduled"] == result.counts["ended"] == len(result.records)


@LOOPS
def test_a_request_that_waits_for_a_connection_at_the_end_leaves_a_record(make_loop: MakeLoop, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner, refuse(Scheduled, openings=[0, 1], hangs=True):
        engine = runner.run(send([0.0, 0.0, 0.0], tmp_path, max_connections=2, drain_s=0.1))
    samples = read_samples(tmp_path / SAMPLES_FILE)

    assert engine.scheduled == len(samples)
    assert samples["outcome"].tolist() == [Outcome.CENSORED] * 3
    assert set(samples["sent_ns"].tolist()) == {NEVER}


@LOOPS
def test_an_opening_that_ends_before_it_began_leaves_a_record(make_loop: MakeLoop, tmp_path: Path) -> None:
    async def lose_at_the_end() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Server(0.0), "127.0.0.1", 0)
        destination = Destination(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        plan = Plan(destination=destination, requests=REQUESTS, cases=(0, 1), mode="closed", users=1, duration_s=9.0)
        recorder = Recorder(tmp_path, keep_bodies_bytes=1 << 20)
        engine = Watched(plan, recorder)
        await engine.prepare()
        engine.begin(now_ns())
        async with engine.watched():
            engine.connections[0].abort()
            engine.free(engine.connections[0], now_ns())
        recorder.close()
        server.close()
        await close([connection.transport for connection in engine.connections])

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(lose_at_the_end())
    assert read_samples(tmp_path / SAMPLES_FILE)["outcome"].tolist() == [Outcome.CENSORED]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others take connections beyond the backlog")
def test_a_server_that_takes_no_more_connections_is_overloaded_and_has_missed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        plan = Plan(
            destination=Destination(host="127.0.0.1", port=listener.getsockname()[1]),
            requests=REQUESTS,
            cases=(0, 1),
            mode="open",
            duration_s=1.0,
            drain_s=0.5,
        )
        run = run_pacer(plan, np.arange(200, dtype=np.int64) * 5_000_000, directory=tmp_path)

    assert run.done.sent < 5
    assert "missing-sends" not in {flaw.code for flaw in find_flaws(run)}
    assert [reason.code for reason in find_saturation(run)] == ["saturated"]
    judgement = judge(analyse(run), rank_requests(run.samples), Objectives(p50_ms=50.0))
    assert judgement.status == "missed"


@LOOPS
def test_a_request_that_waits_for_a_place_has_it_before_later_ones(make_loop: MakeLoop, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner, refuse(Scheduled, openings=[0]):
        runner.run(send([0.0, 0.0, 0.3], tmp_path, max_connections=1, holds_s=0.05))
    samples = read_samples(tmp_path / SAMPLES_FILE)

    assert samples["outcome"].tolist() == [Outcome.UNCONNECTED, Outcome.ANSWERED, Outcome.ANSWERED]
    assert (np.diff(samples["intended_ns"]) >= 0).all()
    assert samples["last_ns"][1] < samples["intended_ns"][2]
