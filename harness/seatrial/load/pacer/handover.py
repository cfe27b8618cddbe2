"""The short way of a closed loop: an answer with a head that was there before, and the next request follows on its connection.

A batch of them costs one call of epoll's; no callback, no handle and no transport is between the socket and the record. Linux has
it; elsewhere all connections are read by their transports.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from seatrial.load.pacer.connection import now_ns
from seatrial.load.pacer.one_step_connection import OneStepConnection
from seatrial.load.pacer.recorder import Recorder, pack_answer, pack_ending, pack_record_again
from seatrial.load.samples import NEVER, Outcome

if TYPE_CHECKING:
    from seatrial.load.pacer.closed_loop import ClosedLoop

EXISTS: Final = hasattr(select, "epoll")
_BATCH: Final = 32
# Timers and whatever else the loop has to do wait no longer than for this and a batch.
_SLICE_NS: Final = 1_000_000
# With a bytes object's 33 bytes the most that Python's own allocator takes: a longer buffer costs a read 0.15 us.
_SHORT_BYTES: Final = 479
_LONG_BYTES: Final = 1 << 16
# Of a response that is kept to tell the next one by: longer ones are compared by the recorder, which has their bodies anyway.
_KEPT_BYTES: Final = 2048
_ANSWERED: Final = Outcome.ANSWERED
Leaving = tuple[OneStepConnection, bytes]
"""A connection, and what was read of it already."""
Kept = tuple[bytes | None, bytes, tuple[bytes, bytes]]
"""A response with its head, and what `pack_answer` and, in either phase, `pack_ending` made of it."""
# None, for the end of a connection reads as no bytes.
_NOTHING: Final[Kept] = None, b"", (b"", b"")


class Handover:
    """Reads connections in place of their transports.

    A connection joins when its answer was read at once, its head known and no refusal. It leaves with the first that is otherwise
    or comes after the window's end: that, and what follows, goes the way it has over any transport.
    """

    def __init__(self, engine: ClosedLoop, recorder: Recorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self._connections: dict[int, OneStepConnection] = {}
        # Of each case the latest: most come again byte for byte.
        self._responses: dict[int, Kept] = {}
        self._read_bytes = _SHORT_BYTES
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        # While there is always something, turns follow one another: to be told by the loop's own poller costs whoever sends more.
        self._next_turn: asyncio.Handle | None = None
        self._loop.add_reader(self._epoll.fileno(), self._take_turn)

    def close(self) -> None:
        """Read nothing more."""
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def join(self, connection: OneStepConnection) -> None:
        """Read a connection from now on."""
        assert connection.transport is not None
        connection.transport.pause_reading()
        self._connections[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, select.EPOLLIN)

    def _take_turn(self) -> None:
        if self._next_turn is not None:
            # First of all, for a turn that fails is not to be the last one.
            self._next_turn = self._loop.call_soon(self._take_turn)
        until_ns = now_ns() + _SLICE_NS
        while events := self._epoll.poll(0, _BATCH):
            rest = iter(events)
            while leaving := self._hand_over(rest):
                self._leave(*leaving)
            if now_ns() >= until_ns:
                self._keep_turning()
                return
        self._wait()

    def _keep_turning(self) -> None:
        if self._next_turn is None:
            self._loop.remove_reader(self._epoll.fileno())
            self._next_turn = self._loop.call_soon(self._take_turn)

    def _wait(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
            self._loop.add_reader(self._epoll.fileno(), self._take_turn)

    def _leave(self, connection: OneStepConnection, data: bytes) -> None:
        """Have a connection's transport read it, after what was read already."""
        self._epoll.unregister(connection.descriptor)
        transport = connection.transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()
        if data:
            connection.data_received(data)

    def _hand_over(self, events: Iterator[tuple[int, int]]) -> Leaving | None:
        """Read, record and ask again until a connection is to leave; return it. None does at the end of the events.

        Whoever was read is asked again before the next one is read: with few users the server would else have nothing to do while
        the others are read.

        One function, and names that are bound once a batch: beside the kernel, a request costs the interpreter's own steps.
        """
        engine, connections, responses = self._engine, self._connections, self._responses
        read, write, now, pack, read_bytes = os.read, os.write, now_ns, pack_record_again, self._read_bytes
        begin_ns, end_ns = engine.window_begin_ns, 0 if engine.stopped else engine.window_end_ns
        requests, cases, request = engine.requests, engine.cases, engine.scheduled
        is_one, records = cases.is_one, list[bytes]()
        leaving: Leaving | None = None
        idle_ns = 0
        for descriptor, _ in events:
            connection = connections[descriptor]
            try:
                data = read(descriptor, read_bytes)
            except OSError:
                # Its transport finds out: what was lost before the first byte is lost, however the connection ended.
                leaving = connection, b""
                break
            at_ns = now()
            # The gauge reads the clock by itself, before anything is done with an answer: to know one that never came before
            # takes longer than to read it.
            gauge_ns = now()
            case = connection.case
            response, answer, endings = responses.get(case, _NOTHING)
            if data != response or at_ns >= end_ns or not connection.fresh:
                if len(data) == read_bytes:
                    data += _read_on(descriptor)
                kept = self._recognize(connection, data) if connection.fresh and at_ns < end_ns else None
                if kept is None:
                    leaving = connection, data
                    break
                _, answer, endings = kept
            intended_ns = connection.intended_ns
            ending = endings[intended_ns < begin_ns]
            records.append(pack(intended_ns, connection.sent_ns, at_ns, at_ns, answer, connection.number, ending))
            if not is_one:
                connection.case = case = cases.pass_on(case, request)
            asked = requests[case]
            connection.intended_ns = at_ns
            connection.request = request
            request += 1
            connection.carried += 1
            idle_ns += now() - gauge_ns
            connection.sent_ns = now()
            try:
                written = write(descriptor, asked)
            except OSError:
                written = 0
            if written != len(asked):
                connection.leave_with_transport(asked[written:])
                leaving = connection, b""
                break
        if records:
            self._note(records, idle_ns)
        return leaving

    def _note(self, records: list[bytes], idle_ns: int) -> None:
        """Count and keep requests that were answered and followed by the next ones."""
        if self._engine.cases.is_one:
            self._engine.cases.pass_on_only(len(records))
        self._engine.note_handed_over(len(records), idle_ns)
        self._recorder.append(records)

    def _recognize(self, connection: OneStepConnection, data: bytes) -> Kept | None:
        """Return what is recorded of a response that is not the latest of its case; None when its connection is to leave."""
        known = self._engine.known_heads
        if not data.startswith(known.latest) and known.look_up(data) is None:
            return None
        status, body_bytes, content_type, outcome = known.latest_known
        body = data[len(known.latest) :]
        if len(body) != body_bytes or outcome is not _ANSWERED:
            return None
        answer = pack_answer(
            NEVER,
            body_bytes,
            connection.case,
            self._recorder.identify(connection.case, status, body, content_type),
        )
        kept = data, answer, (pack_ending(status, outcome, False), pack_ending(status, outcome, True))
        # One just as long as a short read would be taken for the latest with more behind it.
        if len(data) <= _KEPT_BYTES and len(data) != _SHORT_BYTES:
            self._responses[connection.case] = kept
        self._read_bytes = _SHORT_BYTES if len(data) < _SHORT_BYTES else _LONG_BYTES
        return kept


def _read_on(descriptor: int) -> bytes:
    """Return what is there of a response that is longer than the latest one; nothing when that was all."""
    try:
        return os.read(descriptor, _LONG_BYTES)
    except OSError:
        return b""
