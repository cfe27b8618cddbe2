"""Small servers of the Open Inference Protocol V2, each right or wrong in one way, in the process of the test."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

SECRET = "open-sesame-4711"  # the value of a header, for tests of what is masked


class Handler(http.server.BaseHTTPRequestHandler):
    """Doubles numbers. `fault` is the way in which it is wrong."""

    protocol_version = "HTTP/1.1"
    fault = ""
    asked: Any
    dies: threading.Event

    def do_GET(self) -> None:
        if self.path == "/v2":
            extensions = ["model_repository"] if self.fault == "lists-models" else []
            self._answer(200, {"name": "small", "version": "1", "extensions": extensions})
        elif self.path == "/v2/models/double":
            datatype = "COMPLEX" if self.fault == "odd-signature" else "FP64"
            tensors = [{"name": "x", "datatype": datatype, "shape": [-1, 2]}]
            outputs = [{"name": "y", "datatype": "FP64", "shape": [-1, 2]}]
            self._answer(200, {"name": "double", "versions": ["7"], "inputs": tensors, "outputs": outputs})
        else:
            self._answer(404, {"error": "there is no model of this name"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/v2/repository/index":
            self._answer(200, [{"name": "double", "state": "READY"}, {"name": "old", "state": "UNAVAILABLE"}])
            return
        number = next(self.asked)
        if self.dies.is_set():
            self.close_connection = True
            return
        if self.fault == "dies" and number == 80:
            self.dies.set()
            self.close_connection = True
            return
        if self.fault == "refuses":
            self._answer(403, {"error": f"{self.headers.get('X-Mine')} may not"})
            return
        try:
            rows = read_rows(body)
        except (ValueError, KeyError, TypeError, IndexError):
            status = 500 if self.fault == "breaks" else 200 if self.fault == "takes-all" else 400
            self._answer(status, {"error": f"no question, {self.headers.get('X-Mine', 'stranger')}"})
            return
        data = [[2 * item for item in row] for row in rows]
        if self.fault == "mixes-rows":
            data.reverse()
        if self.fault == "unsteady":
            data = [[item + number for item in row] for row in data]
        tensor = {"name": "y", "datatype": "FP64", "shape": [len(rows), 2], "data": data}
        self._answer(200, {"model_name": "double", "model_version": "7", "outputs": [tensor]})

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's signature
        pass


def read_rows(body: bytes) -> list[list[float]]:
    """Return the rows of a question. Raises what says that it is none."""
    tensor = json.loads(body)["inputs"][0]
    rows, width = tensor["shape"]
    flat = tensor["data"]
    if width != 2 or len(flat) != 2 * rows:
        raise ValueError("it has another shape")
    return [[float(item) for item in flat[2 * row : 2 * row + 2]] for row in range(rows)]


@contextmanager
def serve(fault: str = "", *, certificate: Path | None = None) -> Iterator[str]:
    """Run one for the block, and give its address."""
    handler = type("Handler", (Handler,), {"fault": fault, "asked": count(1), "dies": threading.Event()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
