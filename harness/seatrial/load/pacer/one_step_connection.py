"""One request and one response over HTTP/1.1, as fast as may be: the parser reads only heads that were not there before."""

from __future__ import annotations

from seatrial.load.pacer.connection import Ended, now_ns
from seatrial.load.pacer.http_connection import HttpConnection
from seatrial.load.pacer.known_heads import KnownHead, KnownHeads
from seatrial.load.samples import NEVER, Outcome

_ANSWERED = Outcome.ANSWERED


class OneStepConnection(HttpConnection):
    """Ends a request with the last byte of its response.

    Attributes:
        fresh: a request is under way, and nothing of its response was read.
        is_known: the latest response was read at once, its head known and no refusal.
    """

    __slots__ = ("_known", "_left_bytes", "_only", "fresh", "is_known")

    def __init__(
        self, ended: Ended, number: int, *, max_body_bytes: int, known: KnownHeads, head_only: bool = False
    ) -> None:
        self._known = known
        # The read that was the first one of a response, for as long as it is the only one.
        self._only = b""
        # Of a body whose head is known.
        self._left_bytes = 0
        self.fresh = self.is_known = False
        super().__init__(ended, number, max_body_bytes=max_body_bytes, head_only=head_only)

    def send(self, request: int, case: int, intended_ns: int, data: bytes) -> None:
        """Send a request; nothing may be under way."""
        if self.status:
            self._clear()
        self.fresh = True
        self.first_ns = NEVER
        self.request = request
        self.case = case
        self.intended_ns = intended_ns
        self.sent_ns = now_ns()
        self._write(data)

    def data_received(self, data: bytes) -> None:
        """Read the response."""
        if not self.fresh:
            self._read_on(data)
            return
        self.fresh = False
        self.first_ns = at_ns = now_ns()
        heads = self._known
        head = heads.latest
        if data.startswith(head):
            known: KnownHead | None = heads.latest_known
        else:
            known = heads.look_up(data)
            head = heads.latest
        if known is None or len(data) - len(head) != known[1]:
            self._read_first(data, known)
            return
        self.status, self.body_bytes, self.content_type, outcome = known
        self.body = data[len(head) :]
        self.last_ns = at_ns
        self.carried += 1
        self.is_known = outcome is _ANSWERED
        self._ended.request_ended(self, outcome)

    def give_up(self, outcome: Outcome) -> None:
        """End the request that is under way without its response."""
        self.fresh = False
        super().give_up(outcome)

    def _read_first(self, data: bytes, known: KnownHead | None) -> None:
        """Take the first bytes of a response whose head is not known, or whose body did not come with it."""
        self.is_known = False
        self._expect_response()
        end = len(self._known.latest)
        if known is None or len(data) - end > known[1]:
            self._only = data
            self._read(data)
            return
        self.status, length, self.content_type, _ = known
        self._sized = True
        self._left_bytes = length - (len(data) - end)
        self._keep(data[end:])

    def _read_on(self, data: bytes) -> None:
        self._only = b""
        if self.request < 0 or not self._left_bytes:
            super().data_received(data)
            return
        self._keep(data[: self._left_bytes])
        self._left_bytes -= len(data)
        if self._left_bytes <= 0:
            self.reusable = self.reusable and self._left_bytes == 0
            self._end(self._judge())

    def _expect_response(self) -> None:
        super()._expect_response()
        self._left_bytes = 0
        self._only = b""

    def _finish(self) -> None:
        if self._only and self._keeps:
            self._known.learn(self._only, self.body_bytes, self.status, self.content_type)
        super()._finish()
