"""Detectors of what makes a run no measurement, on a pacer that runs: it is disturbed, or one of its gauges is broken."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seatrial.load.analysis import analyse
from seatrial.load.arrivals import Constant
from seatrial.load.driver import Pacer, PacerRun
from seatrial.load.plan import Plan
from seatrial.load.samples import read_samples
from seatrial.load.schedules import make_schedule
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed
from seatrial_fixtures.specimens.process import serve

RATE, DURATION_S = 100.0, 2.5
SERVICE_S = 0.02
STOPPED_S = 0.3
PACER = """#!{python}
import sys

sys.argv = sys.argv[2:]
import seatrial.load.pacer.__main__ as pacer

{alteration}
pacer.main()
"""
WALL_CLOCK_IS_SET = """
import time

read, times = time.time_ns, iter((0, 5_000_000))
time.time_ns = lambda: read() + next(times)
"""
GAUGE_SEES_HALF = """
from seatrial.load.pacer.engine import Engine

tell = Engine.in_flight_area_ns.fget
Engine.in_flight_area_ns = property(lambda engine: tell(engine) // 2)
"""

RECORDS_SAY_SENT_EARLIER = """
from seatrial.load.pacer.one_step_connection import OneStepConnection

send = OneStepConnection.send

def send_and_date_back(connection, *args):
    send(connection, *args)
    connection.sent_ns -= 10_000_000

OneStepConnection.send = send_and_date_back
"""


def put_load(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    alteration: str = "",
    order: Callable[[int], None] = lambda _: None,
) -> PacerRun:
    """Run a pacer whose code is altered; `order` is told its process id with each progress."""
    program = directory / "pacer.py"
    program.write_text(PACER.format(python=sys.executable, alteration=alteration), encoding="utf-8")
    program.chmod(0o755)
    offsets_ns = make_schedule(Constant(rate=RATE), duration_s=DURATION_S, seed=1).offsets_ns
    with serve(Behaviour(service=Fixed(seconds=SERVICE_S))) as specimen:
        plan = Plan(
            destination=specimen.destination,
            requests=(specimen.make_request(0),),
            cases=(0,),
            mode="open",
            duration_s=DURATION_S,
            timeout_s=5.0,
        )
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(program))
            pacer = Pacer(plan, offsets_ns, directory)
        with pacer:
            ready = pacer.wait_ready()
            done = pacer.run(time.monotonic_ns() + 10**8, lambda _: order(ready.pid))
    return PacerRun(plan=plan, ready=ready, done=done, samples=read_samples(directory / "samples.bin"))


def find_codes(run: PacerRun) -> set[str]:
    return {reason.code for reason in analyse(run).reasons}


def test_a_wall_clock_that_is_set_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = put_load(tmp_path, monkeypatch, WALL_CLOCK_IS_SET)

    assert 4_000_000 < run.done.clock_step_ns < 6_000_000
    assert "clock-step" in find_codes(run)


@pytest.mark.parametrize("alteration", [GAUGE_SEES_HALF, RECORDS_SAY_SENT_EARLIER], ids=["gauge", "records"])
def test_a_gauge_that_counts_otherwise_than_the_records_is_found(
    alteration: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_load(tmp_path, monkeypatch, alteration)

    assert "littles-law" in find_codes(run)


def test_a_client_that_stood_still_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was due meanwhile is sent late, and the loop itself feels it."""

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(pid, signal.SIGCONT)

    run = put_load(tmp_path, monkeypatch, order=stop)

    assert "late-sends" in find_codes(run)
    assert max(run.done.loop_lag_ns) > STOPPED_S / 2 * 1e9


def test_a_pacer_that_is_left_alone_counts_what_its_records_say_and_sees_no_clock_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_load(tmp_path, monkeypatch)

    assert not {"clock-step", "littles-law"} & find_codes(run)
    assert len(run.done.loop_lag_ns) > 5
