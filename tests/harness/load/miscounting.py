"""A server that answers a number with itself, each twenty-fifth time with another, no two bodies alike: `python miscounting.py`.

It speaks the Open Inference Protocol V2, listens on all addresses, writes its port, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

NUMBERS = count(1)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer."""
        (tensor,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        answered = next(NUMBERS)
        number = tensor["data"][0] + (1000 if answered % 25 == 0 else 0)
        output = {"name": "answer", "datatype": "INT64", "shape": [1], "data": [number]}
        body = json.dumps({"model_name": "m", "id": str(answered), "outputs": [output]}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
