"""One request and one response over HTTP/1.1."""

from __future__ import annotations

import httptools

from seatrial.load.pacer.connection import Connection, Ended
from seatrial.load.samples import Outcome


class HttpConnection(Connection):
    """Ends a request with the last byte of its response."""

    __slots__ = ("_head_only", "_parser", "_sized")

    def __init__(self, ended: Ended, number: int, *, max_body_bytes: int, head_only: bool = False) -> None:
        super().__init__(ended, number, max_body_bytes=max_body_bytes)
        self._head_only = head_only
        self._expect_response()

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
                self.reusable = False
                self._end(self._judge())

    def on_body(self, body: bytes) -> None:
        """Keep the body."""
        self._keep(body)

    def on_message_complete(self) -> None:
        """End the request; an interim response (1xx) is followed by another."""
        if self.status and self.request >= 0:
            self.reusable = self.reusable and self._parser.should_keep_alive()
            self._end(self._judge())

    def _expect_response(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sized = False

    def _read(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self.request < 0:
                self.abort()
            self._end(Outcome.MALFORMED)

    def _ends_with_connection(self) -> bool:
        return self.status > 0 and not self._sized
