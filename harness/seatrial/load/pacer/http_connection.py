"""Responses over HTTP/1.1, read by a parser."""

from __future__ import annotations

import httptools

from seatrial.load.pacer.connection import Connection, Ended
from seatrial.load.samples import Outcome


class HttpConnection(Connection):
    """Ends a request with the last byte of its response. What comes after that byte answers nothing that was asked, and ends the
    connection.
    """

    __slots__ = ("_head_only", "_keeps", "_parser", "_sized", "_whole")

    def __init__(self, ended: Ended, number: int, *, max_body_bytes: int, head_only: bool = False) -> None:
        super().__init__(ended, number, max_body_bytes=max_body_bytes)
        self._head_only = head_only
        self._keeps = True
        self._expect_response()

    def on_message_begin(self) -> None:
        """Refuse what follows a whole response."""
        if self._whole:
            raise ValueError("bytes after the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what says where the body ends."""
        lower = name.lower()
        if lower in {b"content-length", b"transfer-encoding"}:
            self._sized = True
        elif lower == b"content-type":
            self.content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            if status in {204, 304}:
                self._sized = True
            if self._head_only:
                self._whole = True
                self._keeps = self.reusable and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Keep the body; one that follows a head where only that was asked for is not the protocol."""
        if self._whole:
            self._keeps = False
            return
        self._keep(body)

    def on_message_complete(self) -> None:
        """Note the end of the response; an interim one (1xx) is followed by another."""
        if self.status and not self._whole:
            self._whole = True
            self._keeps = self.reusable and self._parser.should_keep_alive()

    def _expect_response(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sized = self._whole = False

    def _read(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not self._whole:
                if self.request < 0:
                    self.abort()
                self._end(Outcome.MALFORMED)
                return
            self._keeps = False
        if self._whole:
            self._finish()

    def _finish(self) -> None:
        """End the request: not while the parser calls back, as the connection may carry the next one at once."""
        self.reusable = self._keeps
        self._end(self._judge())

    def _ends_with_connection(self) -> bool:
        return self.status > 0 and not self._sized
