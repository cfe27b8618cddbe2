"""The reference server as a process, with a model that does odd things on request."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE_S = 20.0
_CODE = """
import pathlib, time
import numpy as np

class Model:
    @staticmethod
    def load(directory):
        if BROKEN: raise OSError(f"cannot read {directory}")
        time.sleep(LOAD_S)
        def predict(tensors):
            number = tensors["number"]
            if number.size and number.max() == 666: raise RuntimeError("secret /etc/path")
            if number.size and number.max() == 667: raise ValueError("secret /etc/path")
            if number.size and number.max() in {1000, 3000}: time.sleep(number.max() / 1000)
            with np.errstate(divide="ignore"):
                return {"inverse": 1.0 / number.astype(np.float64), "text": tensors["text"]}
        return predict

model = Model
"""


def write_model(directory: Path, *, load_s: float = 0.0, broken: bool = False, python: str = "") -> Path:
    code = directory / "code"
    code.mkdir(parents=True)
    (directory / "artifact").mkdir()
    (code / "odd.py").write_text(f"LOAD_S = {load_s}\nBROKEN = {broken}\n{_CODE}")
    number = {"name": "number", "datatype": "INT64", "shape": [-1]}
    text = {"name": "text", "datatype": "BYTES", "shape": [-1]}
    manifest = {
        "name": "odd",
        "version": "7",
        "inputs": [number, text],
        "outputs": [{"name": "inverse", "datatype": "FP64", "shape": [-1]}, text],
        "entry": "odd:model",
        "python": python or f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    (directory / "model.json").write_text(json.dumps(manifest))
    case = {"number": {"shape": [1], "data": [2]}, "text": {"shape": [1], "data": ["a"]}}
    (directory / "cases.json").write_text(json.dumps([{"name": "case-001", "inputs": case}]))
    return directory


class Server:
    """A server process and a way to ask it."""

    def __init__(self, model: Path, home: Path, *options: str) -> None:
        self.log_path = home / "log"
        port_file = home / "port"
        argv = [sys.executable, "-m", "seatrial_fixtures.server", "--model", str(model), "--port-file", str(port_file)]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen([*argv, *options], stderr=log, stdout=log)
        wait_for(lambda: port_file.exists() or self.process.poll() is not None, self.read_log)
        self.port = int(port_file.read_text()) if port_file.exists() else 0

    def read_log(self) -> str:
        return self.log_path.read_text()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            data = response.read()
            is_json = response.headers["content-type"] == "application/json"
            return response.status, json.loads(data) if is_json and data else data, response.headers
        finally:
            connection.close()

    def infer(self, number: list[Any], text: list[Any], **extra: Any) -> tuple[int, Any, http.client.HTTPMessage]:
        inputs = [
            {"name": "number", "datatype": "INT64", "shape": [len(number)], "data": number},
            {"name": "text", "datatype": "BYTES", "shape": [len(text)], "data": text},
        ]
        body = json.dumps({"inputs": inputs, **extra}).encode()
        return self.ask("POST", "/v2/models/odd/infer", body, {"Content-Type": "application/json"})

    def wait_ready(self) -> None:
        wait_for(lambda: self.ask("GET", "/v2/health/ready")[0] == 200, self.read_log)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_for(condition: Callable[[], bool], explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, explain()
        threading.Event().wait(0.02)
