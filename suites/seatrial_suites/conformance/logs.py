"""How checks see that a log has something about a question that was refused."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable

from seatrial.target import Deployment
from seatrial.wire import Refusal

LOG_WAIT_S = 10.0
"""Logs are written, and collected, a moment later."""
REQUEST_ID = "x-request-id"
_POLL_S = 0.05
_ALL_LINES = 100_000
_STATUS = re.compile(r"\b[45]\d\d\b")
_MOST_CHARS = 60
_SIGN_OF_ERROR = re.compile(r"error|exception", re.IGNORECASE)


class NewLines:
    """The lines that a deployment has written since this was made."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._before = self._read()

    def read(self) -> list[str]:
        """Return them."""
        return list((self._read() - self._before).elements())

    def wait_for(self, is_wanted: Callable[[str], bool]) -> bool:
        """Tell whether one of them is wanted, now or within some seconds."""
        deadline_s = time.monotonic() + LOG_WAIT_S
        while not any(is_wanted(line) for line in self.read()):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _read(self) -> Counter[str]:
        return Counter(self._deployment.read_logs(_ALL_LINES).splitlines())


def list_signs(refusal: Refusal, sent: bytes, received: bytes, request_id: str) -> tuple[str, Callable[[str], bool]]:
    """Return what a line about a refused question has in it, in words and as a test of a line.

    Where the server sends the request's id back it claims to know it, and its log has it. Else it is the path with a status of
    an error; where no status told of it, the error.
    """
    if request_id.encode() in received:
        return f"the id {request_id}, which it sent back", lambda line: request_id in line
    head, separator, _ = sent.partition(b"\r\n\r\n")
    words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if not separator or refusal.status < 400:
        said = refusal.message[:_MOST_CHARS]
        return "the error", lambda line: bool((said and said in line) or _SIGN_OF_ERROR.search(line))
    path = words[1].partition("?")[0].rpartition("/")[2]
    return f"{path} and a status", lambda line: path in line and bool(_STATUS.search(line))
