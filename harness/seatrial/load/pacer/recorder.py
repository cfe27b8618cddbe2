"""Where samples and answers go: a buffer of records that is written in blocks, and the answers that differ."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, DistinctAnswer
from seatrial.load.samples import NEVER, NO_ANSWER, NO_CONNECTION, SAMPLE, Outcome

if TYPE_CHECKING:
    from seatrial.load.pacer.connection import Connection

MOST_INDEXED = 1 << 15
"""Answers that are known again, 200 bytes each."""
_BLOCK = 2048
_ANSWERS_BUFFER_BYTES = 1 << 16
_PACK = struct.Struct("<5q4IH2B")
_PACK_AGAIN = struct.Struct("<4q20sI4s")
# The three layouts are one.
assert _PACK.size == _PACK_AGAIN.size == SAMPLE.itemsize
_RECORD_BYTES = _PACK.size
_pack_into = _PACK.pack_into
pack_record_again = _PACK_AGAIN.pack
"""Bytes of one record: its first four times, what `pack_answer` made, the connection, and what `pack_ending` made."""
pack_answer = struct.Struct("<q3I").pack
"""Bytes of those fields that stay while an answer comes again: connect_ns, size_bytes, case, answer."""
pack_ending = struct.Struct("<H2B").pack
"""Bytes of status, outcome and phase."""
_pack_kind = struct.Struct("<IH").pack
_BUFFER_BYTES = _BLOCK * _RECORD_BYTES


class Recorder:
    """Writes one record a request to `directory`, and answers that differ.

    Args:
        directory: takes the files.
        keep_bodies_bytes: of the file of answers; what differs when it is full is not told apart any more.
        keeps_answers: whether there is to be one; else answers are not looked at.

    Attributes:
        keeps_answers: as given.
    """

    def __init__(self, directory: Path, *, keep_bodies_bytes: int, keeps_answers: bool = True) -> None:
        self._file: BinaryIO = (directory / SAMPLES_FILE).open("wb", buffering=0)
        self._answers_file: BinaryIO = (directory / ANSWERS_FILE).open("wb", buffering=_ANSWERS_BUFFER_BYTES)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._filled = 0
        self._broken: OSError | None = None
        self.keeps_answers = keeps_answers
        self._count = 0
        # In two generations, so that what keeps coming stays known: all answers of a long run would take more than its records.
        self._indices: dict[bytes, int] = {}
        self._older_indices: dict[bytes, int] = {}
        self._unkept: dict[tuple[int, int], int] = {}
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
        self._flush_full()

    def append(self, records: Sequence[bytes]) -> None:
        """Append records that `pack_record_again` made, not more than fit the buffer."""
        packed = b"".join(records)
        if self._filled + len(packed) > _BUFFER_BYTES:
            self.flush()
        begin, self._filled = self._filled, self._filled + len(packed)
        self._buffer[begin : self._filled] = packed
        self._flush_full()

    def record_unsent(self, case: int, intended_ns: int, last_ns: int, outcome: Outcome, warm_up: bool) -> None:
        """Append the record of a request that never got onto a connection."""
        _pack_into(
            self._buffer,
            self._filled,
            *(intended_ns, NEVER, NEVER, last_ns, NEVER),
            *(0, case, NO_ANSWER, NO_CONNECTION, 0, outcome, warm_up),
        )
        self._filled += _RECORD_BYTES
        self._flush_full()

    def identify(self, case: int, status: int, body: bytes, content_type: str) -> int:
        """Return the index of an answer, `NO_ANSWER` where none are kept; it is new when its case, status or body is."""
        if not self.keeps_answers:
            return NO_ANSWER
        last = self._last.get(case)
        if last is not None and last[1] == body and last[0] == status:
            return last[2]
        digest = hashlib.sha256(body).digest()
        key = digest + _pack_kind(case, status)
        index = self._indices.get(key)
        if index is None:
            index = self._older_indices.get(key)
            if index is None:
                index = self._write_answer(case, status, body, content_type, digest)
            self._remember(key, index)
        self._last[case] = (status, body, index)
        return index

    def _remember(self, key: bytes, index: int) -> None:
        """Know an answer again, until as many others came: one that comes again then is written, and judged, again."""
        if len(self._indices) >= MOST_INDEXED // 2:
            self._indices, self._older_indices = {}, self._indices
        self._indices[key] = index

    def _write_answer(self, case: int, status: int, body: bytes, content_type: str, digest: bytes) -> int:
        """Return the index of an answer that is written now; those without room share one of their case and status."""
        index = self._count
        answer = DistinctAnswer(
            index=index,
            case=case,
            status=status,
            sha256=digest.hex(),
            size_bytes=len(body),
            body=body if len(body) <= self._left_bytes else None,
            content_type=content_type,
        )
        line = msgspec.json.encode(answer) + b"\n"
        if answer.body is None or len(line) > self._left_bytes:
            kept = self._unkept.setdefault((case, status), index)
            if kept != index:
                return kept
            line = msgspec.json.encode(msgspec.structs.replace(answer, body=None)) + b"\n"
        else:
            self._left_bytes -= len(line)
        self._count += 1
        self._answers_file.write(line)
        return index

    def _flush_full(self) -> None:
        """Leave room for one record at least: each is packed where the last one ended."""
        if self._filled == _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in the buffers: answers before the samples that name them, for others read both meanwhile.

        Raises:
            OSError: it cannot be written, as where the disk is full. Nothing is from then on: `close` says so again.
        """
        left = memoryview(self._buffer)[: self._filled]
        self._filled = 0
        if self._broken is not None:
            return
        try:
            self._answers_file.flush()
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._broken = error
            raise

    def close(self) -> None:
        """Write everything, answers included. Raises OSError when anything could not be written."""
        with closing(self._file), closing(self._answers_file):
            self.flush()
        if self._broken is not None:
            raise self._broken
