"""What an open loop says that it has spun, which is what its work is told from: time in which it had nothing else to do."""

from __future__ import annotations

import asyncio
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast
from unittest.mock import patch

import numpy as np
import pytest
import uvloop

from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.one_step_connection import OneStepConnection
from seatrial.load.pacer.open_loop import OpenLoop
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import Destination, Plan

close = runpy.run_path(str(Path(__file__).with_name("scripting.py")))["close"]
MakeLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
# So near each other that it spins from one to the next.
OFFSETS_NS = np.arange(500, dtype=np.int64) * 400_000


class Kept(OpenLoop):
    """Shows its connections, whose transports are to be closed."""

    async def open(self) -> Connection:
        self.opened_now = [*getattr(self, "opened_now", []), await super().open()]
        return self.opened_now[-1]


class Answering(asyncio.Protocol):
    transports: ClassVar[list[asyncio.Transport]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Uvloop's is one without saying so.
        self._transport = cast("asyncio.Transport", transport)
        self.transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"GET"))


async def put_load(directory: Path) -> tuple[Kept, int]:
    """Return the engine of a run that has ended, and how long that took, nanoseconds."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=server.sockets[0].getsockname()[1]),
        requests=(REQUEST,),
        cases=(0,),
        mode="open",
        connections=4,
        max_connections=4,
        duration_s=0.2,
        drain_s=5.0,
    )
    recorder = Recorder(directory, keep_bodies_bytes=0, keeps_answers=False)
    engine = Kept(plan, recorder, OFFSETS_NS, np.empty(0, np.int64))
    await engine.prepare()
    began_ns = now_ns()
    await engine.run(began_ns)
    took_ns = now_ns() - began_ns
    recorder.close()
    server.close()
    await close([*Answering.transports, *(connection.transport for connection in engine.opened_now)])
    Answering.transports.clear()
    return engine, took_ns


@LOOPS
def test_reading_answers_is_no_spinning(make_loop: MakeLoop, tmp_path: Path) -> None:
    """Else a client that does nothing but read, and is late for that, would pass for one that waits for a slow server."""

    def read(connection: OneStepConnection, data: bytes) -> None:
        nonlocal reading_ns
        began_ns = time.perf_counter_ns()
        while time.perf_counter_ns() < began_ns + 300_000:
            pass
        read_at_once(connection, data)
        reading_ns += time.perf_counter_ns() - began_ns

    reading_ns = 0
    read_at_once = OneStepConnection.data_received
    with asyncio.Runner(loop_factory=make_loop) as runner, patch.object(OneStepConnection, "data_received", read):
        engine, took_ns = runner.run(put_load(tmp_path))

    assert engine.ended == len(OFFSETS_NS)
    assert reading_ns >= 0.3 * took_ns
    assert engine.spun_ns + reading_ns <= took_ns


@LOOPS
def test_who_has_little_to_do_spins_from_one_request_to_the_next(make_loop: MakeLoop, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        engine, took_ns = runner.run(put_load(tmp_path))

    assert engine.ended == len(OFFSETS_NS)
    assert 0.1 * took_ns < engine.spun_ns < took_ns
