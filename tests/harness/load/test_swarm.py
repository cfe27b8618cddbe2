"""A master of Locust and its workers, as processes: their statistics, files and exit codes carry our numbers, exactly."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from seatrial.errors import HarnessError
from seatrial.load.arrivals import Constant, Poisson
from seatrial.load.host_lock import HostLock
from seatrial.load.live import Snapshot
from seatrial.load.plan import ANSWERS_FILE, Destination, Plan
from seatrial.load.result import LoadResult
from seatrial.load.samples import Outcome, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.launch import LOCUSTFILE, SwarmError, run_swarm
from seatrial.load.swarm.merging import choose_code
from seatrial.load.tally import Tally

Serve = Callable[..., int]
MIXING = Path(__file__).with_name("mixing.py")
WAIT_S = 60.0
RATE, SECONDS = 200.0, 2.0
pytestmark = pytest.mark.timeout(300)
"""Of every wait that has no other bound: for the port of a server, for a line of a process."""


def make_plan(port: int, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "destination": Destination(host="127.0.0.1", port=port),
        "requests": (b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n",),
        "cases": (0,),
        "mode": "open",
        "duration_s": SECONDS,
        "timeout_s": 0.5,
        "drain_s": 5.0,
        "connections": 8,
    }
    return Plan(**(fields | changes))


@dataclass(frozen=True)
class Swarm:
    """What a run of two workers left."""

    result: LoadResult
    samples: tuple[Samples, ...]
    directory: Path
    progress: list[Snapshot]

    def read_csv(self, name: str) -> list[dict[str, str]]:
        with (self.directory / f"out_{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Swarm:
    """Two workers, constant arrivals, a server that answers in several ways."""
    directory = tmp_path_factory.mktemp("swarm")
    argv = [sys.executable, str(MIXING), "0.02"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            progress: list[Snapshot] = []
            result = run_swarm(
                make_plan(int(server.stdout.readline())),
                Constant(rate=RATE),
                workers=2,
                directory=directory,
                requested=RATE,
                locust_options=("--csv", str(directory / "out")),
                on_progress=progress.append,
            )
        finally:
            server.kill()
    samples = tuple(read_samples(directory / f"worker-{worker}" / "samples.bin") for worker in range(2))
    return Swarm(result, samples, directory, progress)


def test_two_workers_send_what_one_stream_would(swarm: Swarm) -> None:
    """Dealt out in turn, on a clock that they share: put together, the intended sends are the schedule."""
    schedule = make_schedule(Constant(rate=RATE), duration_s=SECONDS, seed=1).offsets_ns
    intended = [np.sort(samples["intended_ns"]) for samples in swarm.samples]
    together = np.sort(np.concatenate(intended))

    assert [len(each) for each in intended] == [200, 200]
    assert (together - together[0] == schedule).all()
    assert swarm.result.rate.scheduled == swarm.result.rate.requested == RATE


def test_their_merged_histograms_are_those_of_one_stream_bit_for_bit(swarm: Swarm) -> None:
    single = Tally()
    single.add(np.concatenate(swarm.samples))
    reported = SwarmFiles(swarm.directory).read_tally()

    assert reported.encode() == single.encode(), "each second's reports add up to all samples"
    assert swarm.result.outcomes == {Outcome(k).name.lower(): n for k, n in single.outcomes.items()}
    assert set(swarm.result.outcomes) == {"answered", "refused", "timed_out"}
    assert swarm.result.dispatch_lag_s.max == single.series["lag"].max_ns / 1e9
    assert swarm.result.valid == (choose_code(swarm.result) == 0)
    if swarm.result.valid:  # else this machine was too busy to measure, and there are no times
        assert swarm.result.response_time_s == single.series["response"].summarize()
        assert swarm.result.failure_time_s == single.series["failure"].summarize()


def test_locusts_files_carry_our_numbers(swarm: Swarm) -> None:
    samples = np.concatenate(swarm.samples)
    answered = samples[samples["outcome"] == Outcome.ANSWERED]
    refused = samples[samples["outcome"] == Outcome.REFUSED]
    lost = len(samples) - len(answered) - len(refused)
    rows = {row["Name"]: row for row in swarm.read_csv("stats")}
    took_ms = np.sort(answered["last_ns"] - answered["intended_ns"]) / 1e6

    assert list(rows) == ["/path", "/path (failed)", "Aggregated"]
    counts = {name: (int(row["Request Count"]), int(row["Failure Count"])) for name, row in rows.items()}
    assert counts["/path"] == (len(answered) + lost, lost)
    assert counts["/path (failed)"] == (len(refused), len(refused))
    assert counts["Aggregated"] == (len(samples), len(refused) + lost)
    for name in ("/path", "Aggregated"):
        assert float(rows[name]["Min Response Time"]) == pytest.approx(took_ms[0])
        for column, share in (("50%", 0.5), ("90%", 0.9)):
            # Locust takes the place int(n p) of n in order, ours is one of its neighbours; three digits are kept.
            place = int(share * (len(answered) + lost))
            low_ms, high_ms = took_ms[place - 1] * 0.995, took_ms[place + 1] * 1.005
            assert low_ms <= float(rows[name][column]) <= high_ms, (name, column)
    assert "." in rows["/path"]["50%"], "no percentile is cut to whole milliseconds"
    assert float(rows["/path (failed)"]["100%"]) == pytest.approx(
        (refused["last_ns"] - refused["intended_ns"]).max() / 1e6, rel=0.005
    )


def test_answers_that_are_compared_with_nothing_are_not_kept(swarm: Swarm) -> None:
    assert [(swarm.directory / f"worker-{worker}" / ANSWERS_FILE).stat().st_size for worker in range(2)] == [0, 0]


def test_failures_improve_no_percentile(swarm: Swarm) -> None:
    """Those that came at once are in none; those that never came rank above every answer."""
    rows = {row["Name"]: row for row in swarm.read_csv("stats")}

    assert float(rows["Aggregated"]["Min Response Time"]) >= 19.9
    assert float(rows["/path (failed)"]["Min Response Time"]) < 19.9
    assert float(rows["Aggregated"]["99%"]) == float(rows["Aggregated"]["Max Response Time"]) == 7500.0
    failures = {row["Error"]: int(row["Occurrences"]) for row in swarm.read_csv("failures")}
    assert failures == {
        "refused, status 503": swarm.result.outcomes["refused"],
        "timed out": swarm.result.outcomes["timed_out"],
    }


def test_locusts_chart_shows_the_rate_in_the_place_of_users(swarm: Swarm) -> None:
    shown = [int(row["User Count"]) for row in swarm.read_csv("stats_history")]

    assert max(shown) in {199, 200, 201}


def test_nothing_of_locust_is_in_this_process(swarm: Swarm) -> None:
    assert swarm.result.requests == 400
    assert not {"gevent", "locust"} & set(sys.modules)


def test_progress_is_told_of_all_workers(swarm: Swarm) -> None:
    sent = [progress.sent for progress in swarm.progress]

    assert sent == sorted(sent)
    last, answered = swarm.progress[-1], swarm.result.outcomes["answered"]
    assert (last.sent, last.in_flight, last.failed) == (400, 0, 400 - answered)
    assert last.phase == "drain"
    assert last.rate == pytest.approx(answered / SECONDS)
    assert last.p50_s is not None, "the times of all workers, merged"
    times = np.concatenate([each["last_ns"] - each["intended_ns"] for each in swarm.samples])
    assert times.min() / 1e9 <= last.p50_s <= times.max() / 1e9


def test_a_worker_that_is_killed_makes_the_run_invalid(serve: Serve, tmp_path: Path) -> None:
    """Its pacer ends with it, the other worker is told to stop."""

    killed: list[psutil.Process] = []

    def kill(progress: Snapshot) -> None:
        if progress.sent and not killed:
            killed.append(find_children("--worker")[0])
            killed[0].kill()

    plan = make_plan(serve("echo"), duration_s=600.0)
    began_s = time.monotonic()
    result = run_swarm(plan, Poisson(rate=50.0), workers=2, directory=tmp_path, on_progress=kill)

    assert time.monotonic() - began_s < 240, "nobody waits for the end of the schedule"
    assert not result.valid
    codes = [reason.code for reason in result.reasons]
    assert codes[0] == "worker-lost", result.reasons
    assert codes.count("worker-lost") == 1, "the other one came to its end, if not to a measurement on a busy machine"
    assert "interrupted" not in codes
    assert result.response_time_s.p50 is None
    assert "Shutting down (exit code 7)" in (tmp_path / "master.log").read_text(encoding="utf-8")
    wait_until(lambda: not find_children("seatrial.load.pacer") and not find_children("locust"))


def test_what_cannot_begin_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SwarmError, match=r"no connection to 127.0.0.1:1"):
        run_swarm(make_plan(1), Poisson(rate=50.0), workers=1, directory=tmp_path)


def test_a_swarm_ends_with_who_started_it(serve: Serve, tmp_path: Path) -> None:
    """By kill -9, which nothing can answer to."""
    program = f"""
from pathlib import Path
from seatrial.load.live import Snapshot
from seatrial.load.plan import Destination, Plan
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.launch import run_swarm
plan = Plan(destination=Destination(host="127.0.0.1", port={serve("echo")}), requests=(b"GET / HTTP/1.1\\r\\n\\r\\n",),
            cases=(0,), mode="closed", users=2, think_s=0.1, duration_s=600.0)
run_swarm(plan, None, workers=2, directory=Path({str(tmp_path)!r}), on_progress=lambda p: print(p.sent, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        assert any(int(line) > 0 for line in popen.stdout)
        left = psutil.Process(popen.pid).children(recursive=True)
        assert len(left) >= 5, "a master, two workers, two pacers"
        popen.kill()
    wait_until(lambda: not any(is_alive(each) for each in left))


def test_seconds_are_counted_by_the_masters_clock() -> None:
    """Of a worker whose wall clock is a day ahead: else a rate would be spread over that day."""
    program = """
import time, numpy
from locust.stats import RequestStats
from seatrial.load.samples import SAMPLE
from seatrial.load.swarm.statistics import Statistics
stats = RequestStats()
statistics = Statistics(stats, method="GET", path="/", whole_s=1.0)
statistics.set_clock(time.time_ns() - 86_400 * 10**9)
samples = numpy.zeros(3, SAMPLE)
samples["last_ns"] = time.monotonic_ns()
samples["intended_ns"] = samples["last_ns"] - 1_000_000
samples["outcome"][2] = 2
statistics.add(samples)
errors = [error.first_seen for error in stats.errors.values()]
times = [stats.total.start_time, stats.total.last_request_timestamp, *stats.total.num_reqs_per_sec, *errors]
print(*(round((each - time.time()) / 3600) for each in times))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=WAIT_S)

    assert done.stdout.split() == ["-24"] * 4, done.stderr


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


def test_nothing_else_is_measured_during_a_run_and_everything_may_after_it(
    serve: Serve, tmp_path: Path, locust: Any
) -> None:
    """However it ends. Locust's page goes on while a run waits, and ends the wait."""
    page = f"http://127.0.0.1:{find_port()}"
    options = ("--web-host", "127.0.0.1", "--web-port", page.rpartition(":")[2], "--seatrial-duration", "600")
    locust("--host", f"http://127.0.0.1:{serve('echo')}/", *options)
    wait_until(lambda: "seatrial_rate" in fetch(page))
    assert is_free(tmp_path)
    with HostLock(tmp_path).measure():
        fetch(f"{page}/swarm", b"seatrial_rate=40.0")
        wait_until(lambda: WAITS in read_log(tmp_path))
        fetch(f"{page}/stop", b"")
        wait_until(lambda: json.loads(fetch(f"{page}/stats/requests")).get("state") == "stopped")
    assert is_free(tmp_path)
    fetch(f"{page}/swarm", b"seatrial_rate=40.0")
    wait_until(lambda: json.loads(fetch(f"{page}/seatrial")).get("requests", 0) > 0)
    assert not is_free(tmp_path)
    fetch(f"{page}/stop", b"")
    wait_until(lambda: "schema" in json.loads(fetch(f"{page}/seatrial")))
    assert is_free(tmp_path)


def test_who_started_a_swarm_keeps_the_machine_for_it(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    with HostLock(tmp_path).measure():
        result = run_swarm(
            make_plan(serve("echo"), duration_s=0.5), Constant(rate=40.0), workers=1, directory=tmp_path / "run"
        )
    assert result.requests == 20


def is_free(directory: Path) -> bool:
    """Whether who wants to measure could do so at once."""
    try:
        with HostLock(directory, patience_s=0.0).measure():
            return True
    except HarnessError:
        return False


def read_log(directory: Path) -> str:
    return (directory / "locust.log").read_text(encoding="utf-8")


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


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find_children(word: str) -> list[psutil.Process]:
    """Processes below this one with a word in their command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if word in process.cmdline() and is_alive(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.1)
