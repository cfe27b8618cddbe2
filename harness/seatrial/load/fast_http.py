"""Locust's own HTTP users as an engine, to compare with: a closed loop, timed by Locust, analysed like any other run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from seatrial.errors import HarnessError, UsageError
from seatrial.load.analysis import analyse
from seatrial.load.driver import READY_TIMEOUT_S, SLACK_S, PacerRun
from seatrial.load.live import LiveFigures, Snapshot
from seatrial.load.machine import MachineGauge
from seatrial.load.plan import SAMPLES_FILE, Done, Event, Plan, Progress, Ready
from seatrial.load.result import LoadResult
from seatrial.load.samples import read_samples

_NAMES: Final = {"fast": "FastHttpUser", "plain": "HttpUser"}


def run_fast_http(
    plan: Plan,
    directory: Path,
    *,
    kind: Literal["fast", "plain"] = "fast",
    on_progress: Callable[[Snapshot], None] = lambda _: None,
) -> LoadResult:
    """Let Locust's users ask what a plan asks, in a process of their own, and return its figures.

    Times are those that Locust takes; that its client is busy all the time, or that its clock leaves out much of what a request
    takes, makes the run invalid like any other. The samples stay in the directory, so that `analysis.measure` can be asked for
    the times of such a run. Answers are not kept, and connections not counted.

    Args:
        plan: of a closed loop, over TCP.
        directory: empty; takes the samples and a log.
        kind: FastHttpUser, on geventhttpclient, or HttpUser, on requests.
        on_progress: is told each second how far it is, as the users tell it: without times, which they keep to the end.

    Raises:
        UsageError: the plan is of an open loop, or of a Unix socket.
        HarnessError: Locust broke.
    """
    if plan.mode != "closed" or plan.destination.unix_path:
        raise UsageError(
            "Locust's users wait for their answers, over TCP", fix="give a closed loop on a host and a port"
        )
    argv = [sys.executable, "-m", "seatrial.load.swarm.http_users", str(directory), kind]
    whole_s = READY_TIMEOUT_S + plan.warm_up_s + plan.duration_s + plan.drain_s + plan.timeout_s + SLACK_S
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    live, log = LiveFigures(plan), directory / "locust.log"
    events: list[Event] = []
    with (
        log.open("wb") as errors,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as popen,
        MachineGauge(popen.pid) as machine,
    ):
        watchdog = threading.Timer(whole_s, popen.kill)
        watchdog.daemon = True
        try:
            watchdog.start()
            for event in _follow(popen, plan):
                if isinstance(event, Progress):
                    on_progress(live.add(event, []))
                else:
                    events.append(event)
        finally:
            watchdog.cancel()
            popen.kill()
    ready = next((event for event in events if isinstance(event, Ready)), None)
    done = next((event for event in events if isinstance(event, Done)), None)
    if ready is None or done is None:
        said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise HarnessError(f"Locust's users ended without a result, or took too long; they said: {said or 'nothing'}")
    return analyse(
        PacerRun(plan=plan, ready=ready, done=done, samples=read_samples(directory / SAMPLES_FILE), answers=()),
        arrivals=f"{plan.users} of Locust's {_NAMES[kind]}, think time {plan.think_s:g} s",
        machine=machine.use,
        started_at=started_at,
    )


def _follow(popen: subprocess.Popen[bytes], plan: Plan) -> Iterator[Event]:
    """Hand over the plan, and return what is told, until the end of it."""
    assert popen.stdin is not None
    assert popen.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        popen.stdin.write(msgspec.json.encode(plan) + b"\n")
        popen.stdin.flush()
    for line in popen.stdout:
        event: Event = msgspec.json.decode(line, type=Event)
        yield event
