"""The pacer against servers that answer in a known way: every send made, every outcome called by its name."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from seatrial.errors import HarnessError
from seatrial.load.arrivals import Constant
from seatrial.load.driver import Pacer, PacerRun, UnconnectedError, run_pacer
from seatrial.load.plan import Destination, Plan
from seatrial.load.samples import NEVER, Outcome
from seatrial.load.schedules import make_schedule

Serve = Callable[..., int]
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


def make_plan(port: int, **changes: Any) -> Plan:
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=port),
        requests=(REQUEST,),
        cases=(0,),
        mode="open",
        duration_s=1.0,
        timeout_s=5.0,
        drain_s=5.0,
    )
    return msgspec.structs.replace(plan, **changes)


def run_open(port: int, directory: Path, rate: float = 50.0, **changes: Any) -> PacerRun:
    plan = make_plan(port, **changes)
    schedule = make_schedule(Constant(rate=rate), duration_s=plan.duration_s, seed=1)
    return run_pacer(plan, schedule.offsets_ns, directory=directory)


def count(run: PacerRun) -> dict[str, int]:
    values, counts = np.unique(run.samples["outcome"], return_counts=True)
    return {Outcome(value).name: int(number) for value, number in zip(values, counts, strict=True)}


def test_every_scheduled_request_is_sent_and_its_times_are_in_order(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("delay", 0.01), tmp_path, rate=200.0)
    samples = np.sort(run.samples, order="intended_ns")

    assert count(run) == {"ANSWERED": 200}
    assert (samples["intended_ns"] - run.done.start_ns).tolist() == [k * 5_000_000 for k in range(200)]
    assert (samples["intended_ns"] <= samples["sent_ns"]).all()
    assert (samples["sent_ns"] < samples["first_ns"]).all()
    assert (samples["first_ns"] <= samples["last_ns"]).all()
    assert (samples["last_ns"] - samples["sent_ns"] >= 9_900_000).all(), "no answer can be earlier than it is due"
    assert set(samples["size_bytes"]) == {5}
    assert [answer.body for answer in run.answers] == [b"hello"]
    assert run.done.sent == run.done.scheduled == 200


def test_a_stall_holds_up_no_send(serve: Serve, tmp_path: Path) -> None:
    """What a closed loop would leave out is sent on connections opened for it, and waits for the server's return."""
    run = run_open(serve("freeze", 0.0, 0.5, 1.0), tmp_path, rate=100.0, duration_s=2.0)
    samples = np.sort(run.samples, order="intended_ns")

    assert count(run) == {"ANSWERED": 200}
    took_s = (samples["last_ns"] - samples["intended_ns"]) / 1e9
    first_ns = samples["sent_ns"][0]
    into_s = (samples["intended_ns"] - first_ns) / 1e9
    due_s = np.where((into_s >= 0.5) & (into_s < 1.5), 1.5 - into_s, 0.0)
    # The server's clock begins when the first request has arrived there, so its stall begins a little after this one's.
    stalled = (into_s > 0.75) & (due_s > 0.1)
    assert stalled.sum() >= 60
    assert (took_s[stalled] > due_s[stalled] - 0.001).all()
    assert run.done.connections_opened > 50


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("nonsense", "MALFORMED"),
        ("half", "TRUNCATED"),
        ("close", "TRUNCATED"),
        ("chunked", "ANSWERED"),
        ("until-close", "ANSWERED"),
        ("interim", "ANSWERED"),
        ("failing", "REFUSED"),
    ],
)
def test_each_end_has_its_name(serve: Serve, tmp_path: Path, kind: str, outcome: str) -> None:
    run = run_open(serve(kind), tmp_path, rate=20.0)

    assert count(run) == {outcome: 20}
    if outcome == "ANSWERED":
        assert {answer.body for answer in run.answers} <= {b"fine", b"hello"}


def test_an_endless_body_is_malformed_and_ends(serve: Serve, tmp_path: Path) -> None:
    assert count(run_open(serve("endless"), tmp_path, rate=5.0, max_body_bytes=1 << 20)) == {"MALFORMED": 5}


def test_a_server_that_never_answers_is_timed_out(serve: Serve, tmp_path: Path) -> None:
    assert count(run_open(serve("stall"), tmp_path, rate=10.0, timeout_s=0.5)) == {"TIMED_OUT": 10}


def test_what_is_pending_when_the_drain_ends_is_censored(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("stall"), tmp_path, rate=10.0, drain_s=0.3)

    assert count(run) == {"CENSORED": 10}
    assert (run.samples["last_ns"] > run.samples["sent_ns"]).all()


def test_a_kept_connection_that_was_closed_idle_is_no_failure(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("close-after", 5), tmp_path, rate=50.0)

    assert count(run) == {"ANSWERED": 50}
    assert run.done.connections_opened > 5


def test_a_request_a_connection(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("echo"), tmp_path, rate=20.0, reconnect=True)

    assert count(run) == {"ANSWERED": 20}
    assert run.done.connections_opened == 20
    assert (run.samples["connect_ns"] > 0).all()
    assert len(set(run.samples["connection"])) == 20


def test_without_a_free_connection_the_client_is_exhausted(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("delay", 0.2), tmp_path, rate=50.0, max_connections=2)

    assert run.done.exhausted == "connections"
    assert run.done.connections_opened == 2


def test_a_client_without_descriptors_says_so(serve: Serve, tmp_path: Path) -> None:
    plan = make_plan(serve("stall"), drain_s=0.1)
    offsets = make_schedule(Constant(rate=50.0), duration_s=1.0, seed=1).offsets_ns
    with Pacer(plan, offsets, tmp_path) as pacer:
        resource.prlimit(pacer.wait_ready().pid, resource.RLIMIT_NOFILE, (24, 24))
        done = pacer.run(time.monotonic_ns(), lambda _: None)

    assert done.exhausted == "descriptors"


def test_a_client_takes_the_descriptors_that_it_may_have() -> None:
    program = (
        "import resource\n"
        "from seatrial.load.descriptors import allow_descriptors\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))\n"
        "for count in (32, 128, 5000):\n"
        "    allow_descriptors(count)\n"
        "    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["64", "128", "200"]


def test_a_long_schedule_takes_eight_bytes_a_request(serve: Serve, tmp_path: Path) -> None:
    count = 2_000_000
    port, peaks = serve("echo"), []
    for offsets in (np.zeros(1, np.int64), np.arange(count, dtype=np.int64) * 10_000):
        directory = tmp_path / str(len(offsets))
        directory.mkdir()
        with Pacer(make_plan(port), offsets, directory) as pacer:
            peaks.append(psutil.Process(pacer.wait_ready().pid).memory_info().rss)

    assert peaks[1] - peaks[0] < 12 * count


def test_what_still_waits_for_a_connection_at_the_end_is_pending(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("stall"), tmp_path, rate=50.0, max_connections=2, drain_s=0.1)

    assert count(run) == {"CENSORED": 50}
    assert (run.samples["sent_ns"] == NEVER).sum() == 48


def test_answers_that_differ_are_told_apart(serve: Serve, tmp_path: Path) -> None:
    run = run_open(serve("numbered"), tmp_path, rate=20.0)

    assert sorted(int(answer.body or b"") for answer in run.answers) == list(range(1, 21))
    by_index = {answer.index: answer for answer in run.answers}
    assert {by_index[int(index)].body for index in run.samples["answer"]} == {b"%d" % k for k in range(1, 21)}


def test_users_ask_one_at_a_time_each(serve: Serve, tmp_path: Path) -> None:
    plan = make_plan(serve("delay", 0.02), mode="closed", users=4, warm_up_s=0.5)
    run = run_pacer(plan, None, directory=tmp_path)
    samples = np.sort(run.samples, order="sent_ns")

    assert set(count(run)) == {"ANSWERED"}
    assert run.done.connections_opened == 4
    for number in range(4):
        mine = samples[samples["connection"] == number]
        assert (mine["sent_ns"][1:] >= mine["last_ns"][:-1]).all()
    assert set(samples["phase"]) == {0, 1}
    assert samples["intended_ns"][samples["phase"] == 1].max() < run.done.start_ns + 500_000_000


def test_a_user_thinks(serve: Serve, tmp_path: Path) -> None:
    plan = make_plan(serve("echo"), mode="closed", users=1, think_s=0.2)
    samples = run_pacer(plan, None, directory=tmp_path).samples

    assert 1 <= len(samples) <= 5
    assert (samples["sent_ns"][1:] - samples["last_ns"][:-1] >= 190_000_000).all()


def test_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(UnconnectedError, match=r"no connection to 127.0.0.1:1"):
        run_open(1, tmp_path)


def test_a_server_that_goes_away_is_unconnected(serve: Serve, tmp_path: Path) -> None:
    port = serve("close-after", 1)
    plan = make_plan(port, duration_s=2.0)
    schedule = make_schedule(Constant(rate=20.0), duration_s=2.0, seed=1)
    (server,) = [each for each in psutil.Process().children() if "answering.py" in " ".join(each.cmdline())]

    def kill(_: object) -> None:
        if server.is_running():
            server.kill()

    run = run_pacer(plan, schedule.offsets_ns, directory=tmp_path, on_progress=kill)

    assert set(count(run)) >= {"ANSWERED", "UNCONNECTED"}
    assert len(run.samples) == 40
    lost = run.samples[run.samples["outcome"] == Outcome.UNCONNECTED]
    assert (lost["sent_ns"] == NEVER).all()


def test_a_plan_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "seatrial.load.pacer", str(tmp_path)]
    done = subprocess.run(argv, input=b"{}\n", capture_output=True, timeout=30)

    assert b"cannot read its plan" in done.stdout


def test_a_pacer_ends_with_who_started_it(serve: Serve, tmp_path: Path) -> None:
    plan = make_plan(serve("echo"), mode="closed", users=1, duration_s=60.0)
    argv = [sys.executable, "-m", "seatrial.load.pacer", str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        assert popen.stdin is not None
        assert popen.stdout is not None
        popen.stdin.write(msgspec.json.encode(plan) + b"\n")
        popen.stdin.flush()
        assert b"ready" in popen.stdout.readline()
        popen.stdin.write(b"go %d\n" % time.monotonic_ns())
        popen.stdin.close()
        assert popen.wait(timeout=20) == 0


def test_a_pacer_that_is_killed_is_said(serve: Serve, tmp_path: Path) -> None:
    plan = make_plan(serve("echo"), mode="closed", users=1, duration_s=60.0)
    with Pacer(plan, None, tmp_path) as pacer:
        pid = pacer.wait_ready().pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(HarnessError, match="exit code -9"):
            pacer.run(time.monotonic_ns(), lambda _: None)
