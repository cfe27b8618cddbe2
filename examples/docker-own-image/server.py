"""A model server of one line of model, with the standard library: the Open Inference Protocol V2 for `y = FACTOR * x`."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FACTOR = float(os.environ["FACTOR"])
VERSION = os.environ["VERSION"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200 if self.path in ("/v2/health/live", "/v2/health/ready") else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v2/models/doubling/infer":
            return self.answer(404, {"error": "there is no such model"})
        try:
            [x] = json.loads(body)["inputs"]
            y = [FACTOR * value for value in x["data"]]
            shape = x["shape"]
        except (ValueError, KeyError, TypeError) as error:
            return self.answer(400, {"error": f"not an inference request: {error}"})
        output = {"name": "y", "datatype": "FP64", "shape": shape, "data": y}
        return self.answer(200, {"model_name": "doubling", "model_version": VERSION, "outputs": [output]})

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("0.0.0.0", 9000), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stderr.write(f"doubling {VERSION} listens\n")
    server.serve_forever()
