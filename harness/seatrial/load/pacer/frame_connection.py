"""Frames on a socket: four bytes of length in network order, then as many bytes; one question, one answer."""

from __future__ import annotations

import struct

from seatrial.load.pacer.connection import Connection
from seatrial.load.samples import Outcome

_LENGTH = struct.Struct("!I")


class FrameConnection(Connection):
    """Ends a request with the last byte of a frame; what the frame says is read afterwards."""

    __slots__ = ("_received",)

    def _expect_response(self) -> None:
        self._received = bytearray()

    def _read(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < _LENGTH.size:
            return
        (length,) = _LENGTH.unpack_from(self._received)
        if length > self._max_body_bytes or len(self._received) > _LENGTH.size + length:
            self._end(Outcome.MALFORMED)
        elif len(self._received) == _LENGTH.size + length:
            self._keep(bytes(self._received[_LENGTH.size :]))
            self._end(Outcome.ANSWERED)

    def _ends_with_connection(self) -> bool:
        return False
