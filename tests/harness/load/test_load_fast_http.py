"""Locust's own users as an engine: each request a sample, each end by its name, and the same analysis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from seatrial.errors import UsageError
from seatrial.load import fast_http
from seatrial.load.fast_http import run_fast_http
from seatrial.load.machine import MachineGauge
from seatrial.load.plan import Destination, Done, Event, Plan
from seatrial.load.samples import Outcome, read_samples

Serve = Callable[..., int]
Kind = Literal["fast", "plain"]
REQUEST = b"POST /path HTTP/1.1\r\nHost: x\r\nX-Mine: 1\r\nContent-Length: 5\r\n\r\nhello"


def make_plan(port: int, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "destination": Destination(host="127.0.0.1", port=port),
        "requests": (REQUEST,),
        "cases": (0,),
        "mode": "closed",
        "users": 3,
        "think_s": 0.02,
        "duration_s": 1.0,
        "warm_up_s": 0.3,
        "timeout_s": 5.0,
        "drain_s": 5.0,
    }
    return Plan(**(fields | changes))


@pytest.mark.parametrize("kind", ["fast", "plain"])
def test_each_request_of_locusts_users_is_a_sample(serve: Serve, tmp_path: Path, kind: Kind) -> None:
    result = run_fast_http(make_plan(serve("delay", 0.01)), tmp_path, kind=kind)
    samples = read_samples(tmp_path / "samples.bin")
    took_ns = samples["last_ns"] - samples["sent_ns"]

    assert "gevent" not in sys.modules
    assert (result.mode, set(result.outcomes)) == ("closed", {"answered"})
    assert result.requests == int((samples["phase"] == 0).sum()) > 20
    assert set(samples["phase"]) == {0, 1}
    assert (took_ns >= 9_900_000).all(), "no answer can be earlier than it is due"
    assert np.median(took_ns) < 200_000_000
    assert set(samples["size_bytes"]) == {5}
    assert (samples["intended_ns"] == samples["sent_ns"]).all()
    assert result.valid or result.reasons


def test_each_end_has_its_name(serve: Serve, tmp_path: Path) -> None:
    """In one process for all, which is all that Locust may be in."""
    expected = {
        "failing": "refused",
        "close": "truncated",
        "half": "truncated",
        "nonsense": "malformed",
        "stall": "timed_out",
        "nothing": "unconnected",
    }
    ports = {kind: 1 if kind == "nothing" else serve(kind) for kind in expected}
    plans = {
        kind: make_plan(port, users=1, warm_up_s=0.0, duration_s=0.3, timeout_s=0.2) for kind, port in ports.items()
    }
    program = (
        "import sys, pathlib\n"
        "from seatrial.load.swarm import http_users\n"
        "import msgspec\n"
        "plans = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, http_users.Plan])\n"
        "for name, plan in plans.items():\n"
        "    for kind in ('fast', 'plain'):\n"
        "        directory = pathlib.Path(sys.argv[1], f'{name} {kind}')\n"
        "        directory.mkdir()\n"
        "        http_users.ask_all(plan, directory, kind)\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(argv, input=msgspec.json.encode(plans), check=True, timeout=90, stderr=subprocess.DEVNULL)
    found = {
        directory.name: {Outcome(each).name.lower() for each in read_samples(directory / "samples.bin")["outcome"]}
        for directory in tmp_path.iterdir()
    }

    assert found == {f"{name} {kind}": {outcome} for name, outcome in expected.items() for kind in ("fast", "plain")}


def ask_alone(plan: Plan, directory: Path, changes: str = "") -> Done:
    """Return what Locust's users say in the end that ask in a process of their own."""
    program = (
        "import sys, pathlib, time\n"
        "from seatrial.load.swarm import http_users\n"
        "import msgspec\n"
        f"{changes}\n"
        "plan = msgspec.json.decode(sys.stdin.buffer.read(), type=http_users.Plan)\n"
        "http_users.tell(http_users.ask_all(plan, pathlib.Path(sys.argv[1]), 'fast'))\n"
    )
    argv = [sys.executable, "-c", program, str(directory)]
    told = subprocess.run(argv, input=msgspec.json.encode(plan), check=True, timeout=90, capture_output=True).stdout
    events = [msgspec.json.decode(line, type=Event) for line in told.splitlines()]
    return next(each for each in events if isinstance(each, Done))


def test_a_drain_counts_neither_for_nor_against_locusts_users(serve: Serve, tmp_path: Path) -> None:
    done = ask_alone(make_plan(serve("stall"), duration_s=0.5, drain_s=2.0), tmp_path)

    assert done.window_end_ns <= done.measured_until_ns < done.end_ns - 1_000_000_000
    assert 0 < done.drain_cpu_s < done.cpu_s
    assert 0 < done.window_cpu_s <= 1.1 * done.window_s


def test_what_a_warm_up_takes_counts_against_no_client(serve: Serve, tmp_path: Path) -> None:
    """A client that is busy for all of its warm-up, and has its CPU for itself afterwards."""
    plan = make_plan(serve("delay", 0.01), warm_up_s=1.5, duration_s=1.5)
    busy = (
        "begin = http_users.Book.begin\n"
        "def busy(book):\n"
        "    while time.monotonic_ns() < book.begin_ns:\n"
        "        pass\n"
        "    return begin(book)\n"
        "http_users.Book.begin = busy\n"
    )
    done = ask_alone(plan, tmp_path, busy)

    assert done.window_begin_ns <= done.measured_from_ns < done.window_end_ns
    assert 0 < done.warm_up_cpu_s <= done.cpu_s
    assert done.window_cpu_s == pytest.approx(done.cpu_s - done.warm_up_cpu_s - done.drain_cpu_s)
    assert 0 < len(done.loop_lag_ns) <= 15
    assert max(done.loop_lag_ns) < 1_200_000_000, "the loop stood still for the whole warm-up"


def test_the_machine_is_watched_from_the_window_on(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges: list[MachineGauge] = []

    def watch() -> MachineGauge:
        gauges.append(MachineGauge())
        return gauges[-1]

    monkeypatch.setattr(fast_http, "MachineGauge", watch)
    run_fast_http(make_plan(serve("delay", 0.01), warm_up_s=0.5), tmp_path)
    samples = read_samples(tmp_path / "samples.bin")
    latest_warm_up_ns = samples["sent_ns"][samples["phase"] == 1].max()

    assert abs(gauges[0].begin_ns - latest_warm_up_ns) < 400_000_000


def test_descriptors_that_the_client_lacks_are_not_the_servers_doing(serve: Serve, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{serve('delay', 0.5)}/"
    options = ("--users", "100", "--engine", "fast-http", "--duration", "1", "--json", "-", "-q")
    limited = 'ulimit -Sn 64 && ulimit -Hn 64 && exec "$@"'
    argv = ["sh", "-c", limited, "sh", sys.executable, "-m", "seatrial", "load", url, *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    reasons = {reason["code"] for reason in msgspec.json.decode(done.stdout)["reasons"]}

    assert done.returncode == 7
    assert "descriptors-exhausted" in reasons


def test_what_is_pending_at_the_end_is_censored(serve: Serve, tmp_path: Path) -> None:
    result = run_fast_http(make_plan(serve("stall"), warm_up_s=0.0, duration_s=0.3, drain_s=0.2), tmp_path)

    assert result.outcomes == {"censored": 3}


def test_an_open_loop_is_not_for_users(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="wait for their answers"):
        run_fast_http(make_plan(1, mode="open"), tmp_path)
