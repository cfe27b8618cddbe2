"""A server behind signatures, as SageMaker's runtime is: it notes when each request was signed, and refuses what is too old."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from seatrial.endpoint import Credentials, Endpoint
from seatrial.model import Manifest, TensorSpec

SECRET = "very secret"
ANSWER = 0
"""What every question is answered."""
MANIFEST = Manifest(
    name="nonce",
    version="1",
    inputs=(TensorSpec(name="number", datatype="INT64", shape=(-1,)),),
    outputs=(TensorSpec(name="answer", datatype="INT64", shape=(-1,)),),
    entry="m:model",
    python="3.11",
    files={},
)


class SignedServer(ThreadingHTTPServer):
    """Answers on a port of its own.

    Args:
        hold_s: how long a signature holds, seconds.

    Attributes:
        seen: the connection and the signing date of each request.
    """

    daemon_threads = True

    def __init__(self, hold_s: float = math.inf) -> None:
        self.hold_s = hold_s
        self.seen: list[tuple[int, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def endpoint(self) -> Endpoint:
        """How it is asked, by one who has the keys."""
        return Endpoint(
            address=f"http://127.0.0.1:{self.server_port}",
            wire="sagemaker",
            path="emulator",
            name="e",
            credentials=Credentials(access_key="AKIA", secret_key=SECRET),
        )


class _Handler(BaseHTTPRequestHandler):
    server: SignedServer
    protocol_version = "HTTP/1.1"
    _BODY: ClassVar = json.dumps({"outputs": {"answer": [ANSWER]}}).encode()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        date = self.headers["X-Amz-Date"]
        self.server.seen.append((self.client_address[1], date))
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        self.send_response(200 if (datetime.now(UTC) - signed).total_seconds() <= self.server.hold_s else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self._BODY)))
        self.end_headers()
        self.wfile.write(self._BODY)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_signed(hold_s: float = math.inf) -> Iterator[SignedServer]:
    """Return a server that answers until the end of the block."""
    with SignedServer(hold_s) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
