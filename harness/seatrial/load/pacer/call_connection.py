"""A post that gives an event id, then the event stream of that id: done when the event `complete` or `error` is in."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

from seatrial.load.pacer.connection import Ended
from seatrial.load.pacer.http_connection import HttpConnection
from seatrial.load.plan import FollowUp
from seatrial.load.samples import NEVER, Outcome

LINGER_S = 1.0
"""How long the rest of a stream is waited for once its last event is in, before its connection is given up."""
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]+")
_LAST_EVENTS = frozenset({b"complete", b"error"})


class CallConnection(HttpConnection):
    """Times run from the post to the event; the stream's own end is only waited for to use the connection again."""

    __slots__ = ("_follow_up", "_leaving", "_posted", "_second", "_timer", "_unread")

    def __init__(self, ended: Ended, number: int, *, max_body_bytes: int, follow_up: FollowUp) -> None:
        self._follow_up = follow_up
        self._leaving = 0
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(ended, number, max_body_bytes=max_body_bytes)

    def connection_lost(self, error: Exception | None) -> None:
        """Do nothing for a transport that was left for another."""
        if self._leaving:
            self._leaving -= 1
            return
        super().connection_lost(error)
        self._stop_lingering()

    def resume(self) -> None:
        """Ask for the events."""
        self._write(self._second)

    def on_body(self, body: bytes) -> None:
        """Look for the last event."""
        if self.request < 0:
            return
        super().on_body(body)
        if self._posted and self.status < 400 and self.request >= 0:
            self._look_for_end(body)

    def _ends_with_connection(self) -> bool:
        return False

    def _expect_response(self) -> None:
        super()._expect_response()
        self._posted = False
        self._unread = b""
        self._second = b""

    def _read(self, data: bytes) -> None:
        super()._read(data)
        # The parser cannot be replaced while it calls back: the second response has one of its own.
        if self._second and not self._posted:
            self._posted = True
            self._reset_parser()
            if self._leaving:
                self._ended.move(self)
            else:
                self.resume()

    def _finish(self) -> None:
        """Follow the post with the stream; a stream that ends without its last event was cut off."""
        if self.request < 0:
            self.reusable = self._keeps
            self._stop_lingering()
        elif not self._posted and self.status < 400:
            self._follow(keep=self._keeps)
        else:
            self.reusable = self._keeps
            self._end(Outcome.TRUNCATED if self.status < 400 else Outcome.REFUSED)

    def _follow(self, *, keep: bool) -> None:
        """Make the second request of the first one's answer."""
        try:
            self._join_body()
            event_id = str(json.loads(self.body)["event_id"])
        except (ValueError, KeyError, TypeError):
            self._end(Outcome.MALFORMED)
            return
        if not _EVENT_ID.fullmatch(event_id):
            self._end(Outcome.MALFORMED)
            return
        self._second = self._follow_up.request.replace(self._follow_up.placeholder, event_id.encode())
        self._parts, self.body_bytes, self.status = [], 0, 0
        if not keep:
            assert self.transport is not None
            self._leaving += 1
            self.transport.abort()

    def _reset_parser(self) -> None:
        posted, second = self._posted, self._second
        self._expect_response()
        self._posted, self._second = posted, second

    def _look_for_end(self, body: bytes) -> None:
        self._unread = (self._unread + body).replace(b"\r\n", b"\n")
        *blocks, self._unread = self._unread.split(b"\n\n")
        for block in blocks:
            if any(name in _LAST_EVENTS for name in _read_names(block)):
                # Heartbeats before it differ from call to call: only the event that ends the call is the answer.
                self._parts = [block + b"\n\n"]
                self.lingering = True
                self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.abort)
                self._end(Outcome.ANSWERED)
                return

    def _stop_lingering(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.lingering:
            self.lingering = False
            self.first_ns = NEVER
            self._ended.lingered(self)


def _read_names(block: bytes) -> Iterator[bytes]:
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"event":
            yield value.removeprefix(b" ")
