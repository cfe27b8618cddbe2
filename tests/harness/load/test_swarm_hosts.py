"""Locust's master and workers on hosts of their own: other addresses, other clocks, no file in common."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hosts import Hosts, NoHostsError
from seatrial.load.swarm.launch import LOCUSTFILE
from seatrial.model import Case, Manifest, TensorSpec, encode_cases, hash_tree

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's"),
]
MINUTE_S = 60.0
RATE, SECONDS = 100, 3
LOCUST = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]


@dataclass
class Lab:
    """Four hosts: one leads, two send, one answers."""

    hosts: Any
    directory: Path
    master: Any = None
    workers: list[Any] = field(default_factory=list)
    server: Any = None
    port: int = 0

    def lead(self, *options: str) -> subprocess.Popen[str]:
        """Start all of Locust as a user would, and return its master."""
        host = f"http://{self.server.address}:{self.port}"
        listening = ("--master", "--master-bind-host", self.master.address, "--expect-workers", "2")
        led = ("--headless", "--host", host, "--seatrial-allow-remote", self.server.address)
        argv = [*LOCUST, *listening, *led, "--seatrial-json", "load.json", *options]
        popen: subprocess.Popen[str] = self.hosts.start(self.master, argv, self.directory / "master")
        for number, worker in enumerate(self.workers):
            # With `-f -` a worker has its locustfile from the master.
            locust = [*LOCUST[:-1], "-"] if number else LOCUST
            argv = [*locust, "--worker", "--master-host", self.master.address]
            self.hosts.start(worker, argv, self.directory / f"worker-{number}")
        return popen

    def read(self, name: str) -> Any:
        return json.loads((self.directory / "master" / name).read_bytes())

    def read_log(self, name: str) -> str:
        return (self.directory / name / "log").read_text(encoding="utf-8")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    try:
        with Hosts.make() as hosts:
            lab = Lab(hosts, tmp_path)
            lab.master = hosts.add(ahead_s=0)
            # Eleven days, and sixteen years: times of one that were taken for the other's would show.
            lab.workers = [hosts.add(ahead_s=ahead_s) for ahead_s in (1_000_000, 500_000_000)]
            lab.server = hosts.add(ahead_s=0)
            argv = [sys.executable, str(Path(__file__).with_name("miscounting.py"))]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            server = hosts.start(lab.server, argv, tmp_path / "server", **pipes)
            lab.port = int(server.stdout.readline())
            yield lab
    except NoHostsError as error:
        message = f"namespaces cannot be made here, so there are no hosts: {error}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


def write_model(directory: Path) -> Path:
    """A model directory: numbers, each its own answer."""
    specs = {name: (TensorSpec(name=name, datatype="INT64", shape=(-1,)),) for name in ("number", "answer")}
    manifest = Manifest(
        name="m", version="1", inputs=specs["number"], outputs=specs["answer"], entry="m:m", python="3", files={}
    )
    cases = [
        Case(name=f"n{number}", inputs={"number": np.array([number])}, outputs={"answer": np.array([number])})
        for number in range(20)
    ]
    directory.mkdir()
    (directory / "cases.json").write_bytes(encode_cases(cases, manifest))
    (directory / "model.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(manifest, files=hash_tree(directory)))
    )
    return directory


def test_their_clocks_are_their_own(lab: Lab) -> None:
    """What the other tests take for granted."""
    program = "import time; from seatrial.load.swarm.clock import read_clock; print(time.monotonic(), read_clock())"
    said = []
    for host in (lab.master, *lab.workers):
        argv = host.enter(sys.executable, "-c", program)
        said.append(
            subprocess.run(argv, capture_output=True, text=True, check=True, timeout=MINUTE_S).stdout.split(" ", 1)
        )
    now_s = time.monotonic()

    assert [round(float(seconds) - now_s, -2) for seconds, _ in said] == [0, 1_000_000, 500_000_000]
    assert len({clock for _, clock in said}) == 3


def test_a_run_is_what_it_would_be_on_one_host(lab: Lab, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    law = ("--seatrial-rate", str(RATE), "--seatrial-arrivals", "constant", "--seatrial-duration", str(SECONDS))
    golden = ("--seatrial-model", str(model), "--seatrial-wire", "v2")
    master = lab.lead(*law, "--seatrial-warm-up", "auto", *golden, "--csv", "out")
    code = master.wait(2 * MINUTE_S)
    result = lab.read("load.json")
    requests = RATE * SECONDS

    assert code == (0 if result["valid"] else 7), lab.read_log("master")
    assert "worker-lost" not in [reason["code"] for reason in result["reasons"]]
    assert result["requests"] == requests
    assert result["checked"]
    assert 5.0 <= result["warm_up_s"] < 65.0, "the word that ends it reaches both"
    assert result["stationary"] in {True, False}
    assert result["outcomes"] == {"answered": requests - result["wrong"], "wrong": result["wrong"]}
    # Each 25th, of which some came in the warm-up: not to say which.
    assert requests // 25 - 1 <= result["wrong"] <= requests // 25 + 1
    assert result["duration_s"] == SECONDS
    assert 0 <= result["dispatch_lag_s"]["max"] < MINUTE_S
    if result["valid"]:
        assert 0 < result["response_time_s"]["p50"] < MINUTE_S
        assert result["response_time_s"]["max"] is None, "those that were answered wrong rank above all"
    with (tmp_path / "master" / "out_stats.csv").open(encoding="utf-8", newline="") as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert int(total["Request Count"]) == requests
    assert int(total["Failure Count"]) == result["wrong"]
    assert RATE / 2 < float(total["Requests/s"]) < 2 * RATE, "seconds are counted by the master's clock"
    # Those that were answered wrong rank above it.
    assert 0 < float(total["Min Response Time"]) <= float(total["90%"]) < MINUTE_S * 1e3
    for number in range(2):
        left = {path.name for path in (tmp_path / f"worker-{number}").iterdir()}
        assert left - {"locustfile.py", "__pycache__"} == {"log"}, "a worker needs nothing, and leaves what Locust does"


def test_a_host_that_is_cut_off_makes_the_run_invalid(lab: Lab, tmp_path: Path) -> None:
    """The other one is told to stop, long before the end of the schedule."""
    golden = ("--seatrial-model", str(write_model(tmp_path / "model")), "--seatrial-wire", "v2")
    master = lab.lead("--seatrial-rate", "50", "--seatrial-duration", "600", *golden)
    wait_until(lambda: "/v2/models/m/infer  " in lab.read_log("master"))
    lab.hosts.cut(lab.workers[0])

    assert master.wait(MINUTE_S) == 7
    result = lab.read("load.json")
    assert result["reasons"][0]["code"] == "worker-lost"
    assert "its heartbeat stopped" in result["reasons"][0]["message"]
    assert result["response_time_s"]["p50"] is None


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + MINUTE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.1)
