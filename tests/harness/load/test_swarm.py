"""A master of Locust and its workers, as processes: their statistics, files and exit codes carry our numbers, exactly."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from child_processes import find_children, is_alive
from seatrial.load.arrivals import Constant, Poisson
from seatrial.load.host_lock import HostLock
from seatrial.load.live import Snapshot
from seatrial.load.plan import ANSWERS_FILE, Destination, Plan
from seatrial.load.result import LoadResult
from seatrial.load.samples import Outcome, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.launch import SwarmError, run_swarm
from seatrial.load.swarm.merging import choose_code
from seatrial.load.tally import Tally
from waiting import WAIT_S, wait_until

Serve = Callable[..., int]
MIXING = Path(__file__).with_name("mixing.py")
RATE, SECONDS = 200.0, 2.0
pytestmark = pytest.mark.timeout(300)


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
    assert set(swarm.result.outcomes) == {"answered", "refused", "truncated", "timed_out"}
    assert swarm.result.dispatch_lag_s.max == single.series["lag"].max_ns / 1e9
    assert swarm.result.valid == (choose_code(swarm.result) == 0)
    if swarm.result.valid:  # else this machine was too busy to measure, and there are no times
        assert swarm.result.response_time_s == single.series["response"].summarize()
        assert swarm.result.failure_time_s == single.series["failure"].summarize()


def test_locusts_files_carry_our_numbers(swarm: Swarm) -> None:
    samples = np.concatenate(swarm.samples)
    answered = samples[samples["outcome"] == Outcome.ANSWERED]
    failed = samples[samples["outcome"] != Outcome.ANSWERED]
    rows = {row["Name"]: row for row in swarm.read_csv("stats")}
    took_ms = np.sort(answered["last_ns"] - answered["intended_ns"]) / 1e6

    assert list(rows) == ["/path", "/path (failed)", "Aggregated"]
    counts = {name: (int(row["Request Count"]), int(row["Failure Count"])) for name, row in rows.items()}
    assert counts["/path"] == counts["Aggregated"] == (len(samples), len(failed))
    assert counts["/path (failed)"] == (len(failed), len(failed))
    for name in ("/path", "Aggregated"):
        assert float(rows[name]["Min Response Time"]) == pytest.approx(took_ms[0])
        for column, share in (("50%", 0.5), ("80%", 0.8)):
            # Locust takes the place int(n p) of n in order, ours is one of its neighbours; three digits are kept.
            place = int(share * len(samples))
            low_ms, high_ms = took_ms[place - 1] * 0.995, took_ms[place + 1] * 1.005
            assert low_ms <= float(rows[name][column]) <= high_ms, (name, column)
    assert "." in rows["/path"]["50%"], "no percentile is cut to whole milliseconds"
    assert float(rows["/path (failed)"]["100%"]) == pytest.approx(
        (failed["last_ns"] - failed["intended_ns"]).max() / 1e6, rel=0.005
    )


def test_answers_that_are_compared_with_nothing_are_not_kept(swarm: Swarm) -> None:
    assert [(swarm.directory / f"worker-{worker}" / ANSWERS_FILE).stat().st_size for worker in range(2)] == [0, 0]


def test_failures_improve_no_percentile(swarm: Swarm) -> None:
    """They rank above every answer, whether they came at once, late, or never; when they came is in a row of their own."""
    rows = {row["Name"]: row for row in swarm.read_csv("stats")}

    assert float(rows["Aggregated"]["Min Response Time"]) >= 19.9
    assert float(rows["/path (failed)"]["Min Response Time"]) < 19.9
    for name in ("/path", "Aggregated"):
        assert float(rows[name]["90%"]) == float(rows[name]["Max Response Time"]) == 7500.0
    if swarm.result.valid:
        assert swarm.result.response_time_s.p50 is not None
        assert swarm.result.response_time_s.p90 is None
    failures = {row["Error"]: int(row["Occurrences"]) for row in swarm.read_csv("failures")}
    assert failures == {
        "refused, status 503": swarm.result.statuses["503"],
        "refused, status 504": swarm.result.statuses["504"],
        "truncated": swarm.result.outcomes["truncated"],
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
statistics.set_clock(time.time_ns() - 86_400 * 10**9, time.monotonic_ns())
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
