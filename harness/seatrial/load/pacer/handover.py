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
from seatrial.load.pacer.recorder import Recorder, pack_record
from seatrial.load.samples import NEVER, NO_ANSWER, Outcome

if TYPE_CHECKING:
    from seatrial.load.pacer.closed_loop import ClosedLoop

EXISTS: Final = hasattr(select, "epoll")
_BATCH: Final = 32
# Timers and whatever else the loop has to do wait no longer than for this and a batch.
_SLICE_NS: Final = 1_000_000
_READ_BYTES: Final = 1 << 16
# Of a response that is kept to tell the next one by: longer ones are compared by the recorder, which has their bodies anyway.
_KEPT_BYTES: Final = 2048
_ANSWERED: Final = Outcome.ANSWERED
Leaving = tuple[OneStepConnection, bytes]
"""A connection, and what was read of it already."""


class Handover:
    """Reads connections in place of their transports.

    A connection joins when its answer was read at once, its head known and no refusal. It leaves with the first that is otherwise
    or comes after the window's end: that, and what follows, goes the way it has over any transport.
    """

    def __init__(self, engine: ClosedLoop, recorder: Recorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self._connections: dict[int, OneStepConnection] = {}
        # Of each case the latest response with its head, and which answer that was: most come again byte for byte.
        self._responses: dict[int, tuple[bytes, int]] = {}
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        # The loop's own poller tells when this one has something.
        self._loop.add_reader(self._epoll.fileno(), self._take_turn)

    def close(self) -> None:
        """Read nothing more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def join(self, connection: OneStepConnection) -> None:
        """Read a connection from now on."""
        assert connection.transport is not None
        connection.transport.pause_reading()
        self._connections[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, select.EPOLLIN)

    def _take_turn(self) -> None:
        until_ns = now_ns() + _SLICE_NS
        while events := self._epoll.poll(0, _BATCH):
            rest = iter(events)
            while leaving := self._hand_over(rest):
                for connection, data in leaving:
                    self._leave(connection, data)
            if now_ns() >= until_ns:
                return

    def _leave(self, connection: OneStepConnection, data: bytes) -> None:
        """Have a connection's transport read it, after what was read already."""
        self._epoll.unregister(connection.descriptor)
        transport = connection.transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()
        if data:
            connection.data_received(data)

    def _hand_over(self, events: Iterator[tuple[int, int]]) -> list[Leaving]:
        """Read and record until a connection is to leave, then send; return who leaves. Nobody does at the end of the events.

        All are read before any is sent to: what was read last was there for no longer than the reading took, and who is asked has
        several requests to answer in a turn of its own.
        """
        answered: list[OneStepConnection] = []
        leaving, read_ns = self._read(events, answered)
        stuck, asked_ns = self._ask_again(answered)
        self._engine.note_handed_over(len(answered), asked_ns - read_ns)
        return leaving + stuck

    def _read(self, events: Iterator[tuple[int, int]], answered: list[OneStepConnection]) -> tuple[list[Leaving], int]:
        """Record and add to `answered` until a connection is to leave; return it, with what was read of it.

        And, summed, the times at which the gauge has those that were answered end. They are read apart from those of the
        records, before anything is done with an answer: to know one that never came before takes longer than to read it.

        One function, and names that are bound once a batch: beside the kernel, a request costs the interpreter's own steps.
        """
        engine, recorder, connections = self._engine, self._recorder, self._connections
        known, read, now, pack = engine.known_heads, os.read, now_ns, pack_record
        identify, responses = recorder.identify if recorder.keeps_answers else None, self._responses
        begin_ns, end_ns = engine.window_begin_ns, 0 if engine.stopped else engine.window_end_ns
        head, (status, body_bytes, content_type, outcome) = known.latest, known.latest_known
        head_bytes = len(head)
        leaving: list[Leaving] = []
        records: list[bytes] = []
        answer, gauge_ns = NO_ANSWER, 0
        for descriptor, _ in events:
            connection = connections[descriptor]
            try:
                data = read(descriptor, _READ_BYTES)
            except OSError:
                # Its transport finds out: what was lost before the first byte is lost, however the connection ended.
                leaving.append((connection, b""))
                break
            at_ns = now()
            if not connection.fresh or at_ns >= end_ns:
                leaving.append((connection, data))
                break
            if not data.startswith(head):
                if known.look_up(data) is None:
                    leaving.append((connection, data))
                    break
                head, (status, body_bytes, content_type, outcome) = known.latest, known.latest_known
                head_bytes = len(head)
            if len(data) - head_bytes != body_bytes or outcome is not _ANSWERED:
                leaving.append((connection, data))
                break
            gauge_ns += now()
            case, intended_ns = connection.case, connection.intended_ns
            if identify is not None:
                latest = responses.get(case)
                if latest is not None and latest[0] == data:
                    answer = latest[1]
                else:
                    answer = identify(case, status, data[head_bytes:], content_type)
                    if len(data) <= _KEPT_BYTES:
                        responses[case] = data, answer
            record = pack(
                intended_ns,
                connection.sent_ns,
                at_ns,
                at_ns,
                NEVER,
                body_bytes,
                case,
                answer,
                connection.number,
                status,
                _ANSWERED,
                intended_ns < begin_ns,
            )
            records.append(record)
            connection.intended_ns = at_ns
            answered.append(connection)
        recorder.append(records)
        return leaving, gauge_ns

    def _ask_again(self, answered: list[OneStepConnection]) -> tuple[list[Leaving], int]:
        """Send on each connection; return those whose socket did not take all of it, and the sum of the gauge's times."""
        engine, write, now = self._engine, os.write, now_ns
        first, requests = engine.scheduled, engine.requests
        cases = engine.cases.pass_on([connection.case for connection in answered], first)
        leaving: list[Leaving] = []
        gauge_ns = 0
        for request, (connection, case) in enumerate(zip(answered, cases, strict=True), first):
            asked = requests[case]
            connection.request, connection.case = request, case
            connection.carried += 1
            gauge_ns += now()
            connection.sent_ns = now()
            try:
                written = write(connection.descriptor, asked)
            except OSError:
                written = 0
            if written != len(asked):
                connection.leave_with_transport(asked[written:])
                leaving.append((connection, b""))
        return leaving, gauge_ns
