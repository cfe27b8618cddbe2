"""Responses as servers write them, whole and broken, and a closed loop of one user against a server that keeps to a script."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from hypothesis import strategies as st

from seatrial.load.pacer import closed_loop
from seatrial.load.pacer.closed_loop import ClosedLoop
from seatrial.load.pacer.connection import Connection, now_ns
from seatrial.load.pacer.engine import TOLD
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, Destination, Plan
from seatrial.load.samples import NEVER, read_samples

BOUND_BYTES = 64
STATUSES = (b"200 OK", b"404 Not Found", b"204 No Content", b"503 Busy")
FRAMINGS = ("length", "chunked", "until-close", "interim", "closing")
REQUESTS = (b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /two HTTP/1.1\r\nHost: x\r\n\r\n")
RECORDED = ("size_bytes", "case", "answer", "connection", "status", "outcome", "phase")


def make_response(status: bytes, framing: str, body: bytes) -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\n"
    if status.startswith(b"204"):
        return head + b"\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return {
        "length": head + length + b"\r\n" + body,
        "chunked": head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        "until-close": head + b"\r\n" + body,
        "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + head + length + b"\r\n" + body,
        "closing": head + length + b"Connection: close\r\n\r\n" + body,
    }[framing]


GOOD = make_response(b"200 OK", "length", b"fine")


@dataclass(frozen=True)
class Step:
    """What a server does with one request: it writes the pieces, each when the one before has gone out, and closes or goes on.

    Attributes:
        early: when it has read the request's head, not when it has read all.
    """

    pieces: tuple[bytes, ...]
    closes: bool = False
    early: bool = False


def make_step(
    status: bytes, framing: str, body: bytes, *, after: bytes = b"", cuts: Sequence[int] = (), is_cut: bool = False
) -> Step:
    """Cut a response into pieces; what comes after it comes with the last, for else it would answer the next request."""
    response = make_response(status, framing, body)
    given = response[:-1] if is_cut else response
    places = sorted({min(cut, len(given) - 1) for cut in cuts} | {0})
    pieces = [given[begin:end] for begin, end in itertools.pairwise([*places, len(given)])]
    ends_with_connection = framing == "until-close" and not status.startswith(b"204")
    return Step((*pieces[:-1], pieces[-1] + (b"" if is_cut else after)), closes=is_cut or ends_with_connection)


AFTER = (b"", b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"x")
steps = st.builds(
    make_step,
    st.sampled_from(STATUSES),
    st.sampled_from(FRAMINGS),
    st.binary(max_size=BOUND_BYTES + 8),
    after=st.sampled_from(AFTER),
    cuts=st.lists(st.integers(0, 200), max_size=3),
    is_cut=st.integers(0, 8).map(lambda drawn: drawn == 0),
)


class Server(asyncio.Protocol):
    """One connection of a server; the script goes on over all of them. A request that is none of those it knows gets no HTTP."""

    def __init__(
        self,
        requests: Sequence[bytes],
        script: list[Step],
        end: Callable[[], None],
        transports: list[asyncio.Transport | None],
    ) -> None:
        self._requests = requests
        self._script = script
        self._end = end
        self._transports = transports
        self._read = bytearray()
        self._is_answered = False
        self._writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while self._read and self._take():
            pass

    def _take(self) -> bool:
        """Do what the first request asks for; returns whether that was read whole."""
        head, found, body = self._read.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or 0)
        asked = bytes(self._read[: len(head) + len(found) + length])
        is_whole = len(body) >= length
        if is_whole and asked not in self._requests:
            self._transport.write(b"not one of mine")
        elif self._is_answered:
            # What comes now is the rest of that request.
            pass
        elif not self._script:
            self._end()
        elif is_whole or self._script[0].early:
            self._is_answered = True
            self._writing = asyncio.create_task(self._answer(self._script.pop(0)))
        if is_whole:
            del self._read[: len(asked)]
            self._is_answered = False
        return is_whole

    async def _answer(self, step: Step) -> None:
        for piece in step.pieces:
            if self._transport.is_closing():
                return
            self._transport.write(piece)
            for _ in range(4):
                await asyncio.sleep(0)
        if step.closes:
            self._transport.close()


class Watched(ClosedLoop):
    """Counts what went the short way, and shows the connections that were opened."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        super().__init__(plan, recorder)
        self.short = 0
        self.connections: list[Connection] = []

    async def open(self) -> Connection:
        self.connections.append(await super().open())
        return self.connections[-1]

    def note_handed_over(self, count: int, idle_ns: int) -> None:
        self.short += count
        super().note_handed_over(count, idle_ns)


@dataclass(frozen=True)
class Result:
    """All that a run says but for its times."""

    records: list[tuple[int, ...]]
    answers: list[dict[str, Any]]
    counts: dict[str, int]
    short: int


def run_script(
    script: Sequence[Step], *, make_loop: Callable[[], asyncio.AbstractEventLoop], is_short: bool, **changes: Any
) -> Result:
    """Ask until the script is over; the request that comes after it is not answered any more."""
    with (
        tempfile.TemporaryDirectory() as directory,
        asyncio.Runner(loop_factory=make_loop) as runner,
        patch.object(closed_loop, "EXISTS", is_short),
    ):
        return runner.run(_run(list(script), Path(directory), changes))


async def close(transports: Sequence[asyncio.Transport | None]) -> None:
    """Close transports, and give the loop the turns that it takes."""
    for transport in transports:
        if transport is not None:
            transport.abort()
    for _ in range(4):
        await asyncio.sleep(0)


async def _run(script: list[Step], directory: Path, changes: dict[str, Any]) -> Result:
    fields: dict[str, Any] = {
        "requests": REQUESTS,
        "cases": (0, 1),
        "mode": "closed",
        "users": 1,
        "duration_s": 60.0,
        "max_body_bytes": BOUND_BYTES,
    }
    fields |= changes
    engines: list[Watched] = []
    transports: list[asyncio.Transport | None] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: Server(fields["requests"], script, lambda: engines[0].stop(TOLD), transports), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    recorder = Recorder(directory, keep_bodies_bytes=1 << 20)
    engine = Watched(Plan(destination=Destination(host="127.0.0.1", port=port), **fields), recorder)
    engines.append(engine)
    await engine.prepare()
    await engine.run(now_ns())
    recorder.close()
    server.close()
    await close(transports + [connection.transport for connection in engine.connections])
    samples = read_samples(directory / SAMPLES_FILE)
    assert ((samples["sent_ns"] == NEVER) | (samples["sent_ns"] >= samples["intended_ns"])).all()
    assert ((samples["first_ns"] < 0) | (samples["sent_ns"] <= samples["first_ns"])).all()
    assert (samples["first_ns"] <= samples["last_ns"]).all()
    times = zip((samples["first_ns"] >= 0).tolist(), (samples["connect_ns"] >= 0).tolist(), strict=True)
    records = zip(*(samples[name].tolist() for name in RECORDED), strict=True)
    names = ("sent", "ended", "failed", "opened", "reasked", "scheduled", "in_flight")
    return Result(
        records=[(*record, *seen) for record, seen in zip(records, times, strict=True)],
        answers=[json.loads(line) for line in (directory / ANSWERS_FILE).read_text().splitlines()],
        counts={name: getattr(engine, name) for name in names} | {"doubled": engine.cases.doubled},
        short=engine.short,
    )
