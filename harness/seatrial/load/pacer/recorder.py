"""Where samples and answers go: a buffer of records that is written in blocks, and the answers that differ."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, DistinctAnswer
from seatrial.load.samples import NEVER, NO_ANSWER, NO_CONNECTION, SAMPLE, Outcome

if TYPE_CHECKING:
    from seatrial.load.pacer.connection import Connection

_BLOCK = 2048
_ANSWERS_BUFFER_BYTES = 1 << 16
_PACK = struct.Struct("<5q4IH2B")
# The two layouts are one.
assert _PACK.size == SAMPLE.itemsize
_RECORD_BYTES = _PACK.size
_pack_into = _PACK.pack_into
_ANSWERED = Outcome.ANSWERED
_BUFFER_BYTES = _BLOCK * _RECORD_BYTES


class Recorder:
    """Writes one record a request to `directory`, and each distinct answer once."""

    def __init__(self, directory: Path, *, keep_bodies_bytes: int) -> None:
        self._file: BinaryIO = (directory / SAMPLES_FILE).open("wb", buffering=0)
        self._answers_file: BinaryIO = (directory / ANSWERS_FILE).open("wb", buffering=_ANSWERS_BUFFER_BYTES)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._filled = 0
        self._answers: dict[tuple[int, int, bytes], int] = {}
        self._last: dict[int, tuple[int, bytes, int]] = {}
        self._left_bytes = keep_bodies_bytes

    def record(self, connection: Connection, outcome: Outcome, answer: int, warm_up: bool) -> None:
        """Append the record of the request that a connection carried."""
        _pack_into(
            self._buffer,
            self._filled,
            connection.intended_ns,
            connection.sent_ns,
            connection.first_ns,
            connection.last_ns,
            connection.connect_ns,
            connection.body_bytes,
            connection.case,
            answer,
            connection.number,
            connection.status,
            outcome,
            warm_up,
        )
        connection.connect_ns = NEVER
        self._filled += _RECORD_BYTES
        if self._filled == _BUFFER_BYTES:
            self.flush()

    def record_whole(
        self, connection: Connection, at_ns: int, status: int, body_bytes: int, answer: int, warm_up: bool
    ) -> None:
        """Append the record of a request whose answer was read at once, on a connection that carried others before."""
        _pack_into(
            self._buffer,
            self._filled,
            connection.intended_ns,
            connection.sent_ns,
            at_ns,
            at_ns,
            NEVER,
            body_bytes,
            connection.case,
            answer,
            connection.number,
            status,
            _ANSWERED,
            warm_up,
        )
        self._filled += _RECORD_BYTES
        if self._filled == _BUFFER_BYTES:
            self.flush()

    def record_unsent(self, case: int, intended_ns: int, last_ns: int, outcome: Outcome, warm_up: bool) -> None:
        """Append the record of a request that never got onto a connection."""
        _pack_into(
            self._buffer,
            self._filled,
            *(intended_ns, NEVER, NEVER, last_ns, NEVER),
            *(0, case, NO_ANSWER, NO_CONNECTION, 0, outcome, warm_up),
        )
        self._filled += _RECORD_BYTES
        if self._filled == _BUFFER_BYTES:
            self.flush()

    def identify(self, case: int, status: int, body: bytes, content_type: str) -> int:
        """Return the index of an answer; an answer is new when its case, status or body is."""
        last = self._last.get(case)
        if last is not None and last[1] == body and last[0] == status:
            return last[2]
        digest = hashlib.sha256(body).digest()
        key = (case, status, digest)
        index = self._answers.get(key)
        if index is None:
            index = self._answers[key] = len(self._answers)
            kept = len(body) <= self._left_bytes
            self._left_bytes -= len(body) if kept else 0
            answer = DistinctAnswer(
                index=index,
                case=case,
                status=status,
                sha256=digest.hex(),
                size_bytes=len(body),
                body=body if kept else None,
                content_type=content_type,
            )
            self._answers_file.write(msgspec.json.encode(answer) + b"\n")
        self._last[case] = (status, body, index)
        return index

    def flush(self) -> None:
        """Write what is in the buffers: answers before the samples that name them, for others read both meanwhile."""
        self._answers_file.flush()
        self._file.write(memoryview(self._buffer)[: self._filled])
        self._filled = 0

    def close(self) -> None:
        """Write everything, answers included."""
        self.flush()
        self._file.close()
        self._answers_file.close()
