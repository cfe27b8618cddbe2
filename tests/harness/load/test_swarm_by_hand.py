"""Locust as a user starts it: shapes, options and its page, how it ends, and whose turn it is on the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from child_processes import find_children
from seatrial.errors import HarnessError
from seatrial.load.host_lock import HostLock
from seatrial.load.swarm.launch import LOCUSTFILE
from waiting import WAIT_S, wait_until

Serve = Callable[..., int]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def locust(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Locust as a user does, with a lock of the machine of its own; returns its process. It ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, file: Path = LOCUSTFILE) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "locust", "-f", str(file), *options]
        log = (tmp_path / "locust.log").open("w+", encoding="utf-8")
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            text=True,
            start_new_session=True,
        )
        log.close()
        started.append(popen)
        return popen

    yield start
    for popen in started:
        if popen.poll() is None:
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_stages_of_a_shape_are_a_schedule(serve: Serve, tmp_path: Path, locust: Any) -> None:
    """In a locustfile of one's own, in a single process: twice the rate in the second half, drawn before the first send."""
    (tmp_path / "mine.py").write_text(
        "from seatrial.load.swarm.locustfile import PacerUser\n"
        "from seatrial.load.swarm.shape import Stages\n"
        "class Rising(Stages):\n"
        "    stages = ((40, 1.0), (80, 1.0))\n"
    )
    host = f"http://127.0.0.1:{serve('echo')}/a/path?x=1"
    options = ("--headless", "--host", host, "--seatrial-arrivals", "constant", "--seatrial-json", "load.json")
    code = locust(*options, file=tmp_path / "mine.py").wait(WAIT_S)
    result = read_json(tmp_path / "load.json")

    assert code == (0 if result["valid"] else 7), "7: this machine was too busy to measure, and the result says so"
    assert result["arrivals"] == "steps 40/s for 1 s, 80/s for 1 s"
    assert result["requests"] == result["outcomes"]["answered"] == 120
    assert result["duration_s"] == 2.0


def test_users_who_all_fail_are_exit_code_1(serve: Serve, tmp_path: Path, locust: Any) -> None:
    """By `--processes`: Locust forks its workers, and users are shared."""
    host = f"http://127.0.0.1:{serve('failing')}/"
    options = ("--seatrial-users", "3", "--seatrial-think", "0.01", "--seatrial-duration", "1")
    file = tmp_path / "load.json"
    port = str(find_port())
    options += ("--processes", "2", "--master-bind-port", port, "--master-port", port)
    code = locust("--headless", *options, "--host", host, "--seatrial-json", str(file)).wait(WAIT_S)
    result = read_json(file)

    assert code == 1
    assert (result["mode"], result["connections_opened"]) == ("closed", 3)
    assert list(result["statuses"]) == ["500"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--host", "http://127.0.0.1:9/", "--seatrial-rate", "0"), 2, "--seatrial-rate"),
        (("--host", "http://127.0.0.1:9/", "--seatrial-rate", "5"), 3, "does not answer"),
    ],
    ids=["usage", "nothing-listens"],
)
def test_what_cannot_be_done_is_a_sentence(
    tmp_path: Path, locust: Any, options: tuple[str, ...], code: int, words: str
) -> None:
    assert locust("--headless", *options).wait(WAIT_S) == code
    log = read_log(tmp_path)
    assert words in log
    assert "Traceback" not in log


BUSY = """
import threading, time
from seatrial.load.swarm.locustfile import PacerShape, PacerUser


def burn():
    while True:
        until_s = time.perf_counter() + 0.02
        while time.perf_counter() < until_s:
            pass
        time.sleep(0.001)


threading.Thread(target=burn, daemon=True).start()
"""


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_interrupted_it_says_what_there_is_and_leaves_nothing(
    serve: Serve, tmp_path: Path, locust: Any, busy: bool
) -> None:
    """Wherever Ctrl-C meets it: Python raises it in what runs just then, which may be a thread that swallows it."""
    host = f"http://127.0.0.1:{serve('echo')}/"
    options = ("--seatrial-rate", "50", "--seatrial-duration", "600", "--seatrial-json", "load.json")
    (tmp_path / "busy.py").write_text(BUSY)
    popen = locust("--headless", "--host", host, *options, file=tmp_path / "busy.py" if busy else LOCUSTFILE)
    wait_until(lambda: "GET      /  " in read_log(tmp_path))
    popen.send_signal(signal.SIGINT)

    assert popen.wait(WAIT_S) == 130
    result = read_json(tmp_path / "load.json")
    assert "interrupted" in [reason["code"] for reason in result["reasons"]]
    assert result["outcomes"]["answered"] > 0
    wait_until(lambda: not find_children("seatrial.load.pacer"))


def test_locusts_page_starts_runs_and_shows_our_numbers(serve: Serve, locust: Any) -> None:
    page = f"http://127.0.0.1:{find_port()}"
    options = ("--web-host", "127.0.0.1", "--web-port", page.rpartition(":")[2], "--seatrial-duration", "1")
    locust("--host", f"http://127.0.0.1:{serve('echo')}/", *options)
    wait_until(lambda: "seatrial_rate" in fetch(page))
    for rate in (40, 60):
        form = f"seatrial_rate={rate}.0&seatrial_arrivals=constant".encode()
        assert json.loads(fetch(f"{page}/swarm", form))["success"]
        wait_until(lambda rate=rate: json.loads(fetch(f"{page}/seatrial")).get("requests") == rate)
        wait_until(lambda: "schema" in json.loads(fetch(f"{page}/seatrial")))
        result = json.loads(fetch(f"{page}/seatrial"))
        wait_until(lambda rate=rate: json.loads(fetch(f"{page}/stats/requests"))["stats"][-1]["num_requests"] == rate)
        wait_until(lambda: json.loads(fetch(f"{page}/stats/requests"))["state"] == "stopped")

        assert result["arrivals"] == f"constant {rate}/s"
        assert result["outcomes"] == {"answered": rate}


WAITS = "waiting until nothing else of a trial or load run uses this machine"


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["alone", "master"])
def test_a_run_waits_until_nothing_else_is_measured(
    serve: Serve, tmp_path: Path, locust: Any, options: tuple[str, ...]
) -> None:
    port = str(find_port())
    options = (*options, "--master-bind-port", port, "--master-port", port)
    sent = ("--seatrial-rate", "40", "--seatrial-arrivals", "constant", "--seatrial-duration", "1")
    with HostLock(tmp_path).measure():
        host = f"http://127.0.0.1:{serve('echo')}/"
        popen = locust("--headless", "--host", host, *options, *sent, "--seatrial-json", "load.json")
        wait_until(lambda: WAITS in read_log(tmp_path))
        assert not find_children("seatrial.load.pacer")
        released_at = datetime.now(UTC)

    assert popen.wait(WAIT_S) in {0, 7}
    result = read_json(tmp_path / "load.json")
    assert result["outcomes"] == {"answered": 40}
    assert datetime.fromisoformat(result["started_at"]) >= released_at.replace(microsecond=0)


def test_a_run_that_waits_can_be_interrupted(tmp_path: Path, serve: Serve, locust: Any) -> None:
    with HostLock(tmp_path).measure():
        popen = locust("--headless", "--host", f"http://127.0.0.1:{serve('echo')}/", "--seatrial-rate", "40")
        wait_until(lambda: WAITS in read_log(tmp_path))
        popen.send_signal(signal.SIGINT)
        assert popen.wait(WAIT_S) == 130


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["alone", "master"])
def test_nothing_else_is_measured_during_a_run_and_everything_may_after_it(
    serve: Serve, tmp_path: Path, locust: Any, options: tuple[str, ...]
) -> None:
    """However it ends. Locust's page goes on while a run waits, shows its Stop, and ends the wait: then another may begin."""
    page, port = f"http://127.0.0.1:{find_port()}", str(find_port())
    options = (*options, "--master-bind-port", port, "--master-port", port, "--seatrial-duration", "600")
    host = f"http://127.0.0.1:{serve('echo')}/"
    locust("--host", host, "--web-host", "127.0.0.1", "--web-port", page.rpartition(":")[2], *options)
    workers = 2 if "--processes" in options else 0
    wait_until(lambda: "seatrial_rate" in fetch(page))
    wait_until(lambda: read_log(tmp_path).count("reported as ready") == workers)
    assert is_free(tmp_path)
    with HostLock(tmp_path).measure():
        fetch(f"{page}/swarm", b"seatrial_rate=40.0")
        wait_until(lambda: WAITS in read_log(tmp_path))
        # Of any other state but this and that of a run, the page shows no Stop.
        assert read_state(page) == "spawning"
        fetch(f"{page}/stop", b"")
        wait_until(lambda: read_state(page) == "stopped")
        # A worker leaves its master when it is told to stop, and comes back.
        wait_until(lambda: read_log(tmp_path).count("reported as ready") == 2 * workers)
    assert is_free(tmp_path)
    fetch(f"{page}/swarm", b"seatrial_rate=60.0")
    wait_until(lambda: json.loads(fetch(f"{page}/seatrial")).get("requests", 0) > 0)
    assert not is_free(tmp_path)
    fetch(f"{page}/stop", b"")
    wait_until(lambda: "schema" in json.loads(fetch(f"{page}/seatrial")))
    assert is_free(tmp_path)
    assert json.loads(fetch(f"{page}/seatrial"))["rate"]["requested"] == 60.0, "what waited has not begun"


def is_free(directory: Path) -> bool:
    """Whether who wants to measure could do so at once."""
    try:
        with HostLock(directory, patience_s=0.0).measure():
            return True
    except HarnessError:
        return False


def read_log(directory: Path) -> str:
    return (directory / "locust.log").read_text(encoding="utf-8")


def read_state(page: str) -> object:
    return json.loads(fetch(f"{page}/stats/requests")).get("state")


def fetch(url: str, form: bytes | None = None) -> str:
    try:
        with urllib.request.urlopen(url, form, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return "{}"


def find_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
