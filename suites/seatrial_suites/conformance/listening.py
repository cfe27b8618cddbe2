"""A listener of the check's own: what arrives there was fetched by the server that was asked."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

MARK = b"fetched from a check's own listener"
WAIT_S = 0.3
"""For a fetch that a server begins only after its answer."""
_POLL_S = 0.02


class Listener:
    """Answers on 127.0.0.1 whoever comes, and keeps what they asked for."""

    def __init__(self) -> None:
        self._arrived: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def name(self, number: int) -> str:
        """Return an address here that tells which question it was in."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/question-{number}-"

    def find(self, number: int) -> str:
        """Return the first line of what came for this question, or an empty string."""
        return next((each.decode("latin-1") for each in self._arrived if b"/question-%d-" % number in each), "")

    def wait(self) -> None:
        """Give those a moment who fetch late; return at once when somebody came."""
        deadline_s = time.monotonic() + WAIT_S
        while not self._arrived and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1.0)
                line, _, _ = connection.recv(4096).partition(b"\r\n")
                self._arrived.append(line)
                head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(head % len(MARK) + MARK)
