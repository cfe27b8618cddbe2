"""Heads of responses that the parser has read before: a server sends the same bytes again and again, for as long as its clock's
second lasts, and what they say need not be found out each time.
"""

from __future__ import annotations

from typing import Final

from seatrial.load.samples import Outcome

MOST: Final = 256
KnownHead = tuple[int, int, str, Outcome]
"""Status, length of the body in bytes, content type, and what a whole response with it is."""
_NO_HEAD: Final = b"no response begins so"


class KnownHeads(dict[bytes, KnownHead]):
    """By the head's bytes, its empty line included; holds some of the last ones.

    Only those of responses that the parser found whole in one read with nothing before or after, and that leave the connection
    open: then the length of what follows the head is known.

    Attributes:
        latest: the head that was looked up last: the next response begins with it, as a rule.
        latest_known: what it says.
    """

    latest = _NO_HEAD
    latest_known: KnownHead = (0, 0, "", Outcome.ANSWERED)

    def look_up(self, response: bytes) -> KnownHead | None:
        """Return what the head of a response says, None when it is not known, and keep it as the latest."""
        head = response[: response.find(b"\r\n\r\n") + 4]
        known = self.get(head)
        if known is not None:
            self.latest, self.latest_known = head, known
        return known

    def learn(self, response: bytes, body_bytes: int, status: int, content_type: str) -> None:
        """Keep the head of a response that came whole in one read, unless its body is of chunks or another head was before it."""
        end = response.find(b"\r\n\r\n") + 4
        if len(response) - end != body_bytes:
            return
        if len(self) >= MOST:
            self.clear()
        outcome = Outcome.ANSWERED if status < 400 else Outcome.REFUSED
        self[response[:end]] = (status, body_bytes, content_type, outcome)
