"""Locust's own HTTP users as an engine, to compare with: a closed loop, timed by Locust, analysed like any other run."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from seatrial.errors import HarnessError, UsageError
from seatrial.load.analysis import analyse
from seatrial.load.arrivals import SECOND_NS
from seatrial.load.child import read_line, write_line
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

    Ctrl-C ends it, and the result says so.

    Raises:
        KeyboardInterrupt: it came before a request was sent.
        UsageError: the plan is of an open loop, or of a Unix socket.
        HarnessError: Locust broke.
    """
    if plan.mode != "closed" or plan.destination.unix_path:
        raise UsageError(
            "Locust's users wait for their answers, over TCP", fix="give a closed loop on a host and a port"
        )
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    log = directory / "locust.log"
    with _start(directory, kind, log) as popen, MachineGauge() as machine:
        events = _follow(popen, plan, machine, on_progress)
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


@contextlib.contextmanager
def _start(directory: Path, kind: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "seatrial.load.swarm.http_users", str(directory), kind]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for this process, which tells that one.
        ) as popen,
    ):
        try:
            yield popen
        finally:
            popen.kill()


def _follow(
    popen: subprocess.Popen[bytes], plan: Plan, machine: MachineGauge, on_progress: Callable[[Snapshot], None]
) -> Sequence[Event]:
    """Hand over the plan, and return what is told but progress, until the end of it. At Ctrl-C they are told to stop.

    The gauge is told when the window begins: to start, and to load Locust, keeps a CPU busy that measures nothing yet.
    """
    live, events, is_stopping = LiveFigures(plan), list[Event](), False
    whole_s = READY_TIMEOUT_S + plan.warm_up_s + plan.duration_s + plan.drain_s + plan.timeout_s + SLACK_S
    deadline_s = time.monotonic() + whole_s
    with contextlib.suppress(BrokenPipeError):
        write_line(popen, msgspec.json.encode(plan))
    while True:
        try:
            event = _read(popen, deadline_s - time.monotonic())
            if event is None:
                break
            if isinstance(event, Progress):
                on_progress(live.add(event, []))
            else:
                events.append(event)
            if isinstance(event, Ready):
                machine.begin_ns = time.monotonic_ns() + int(plan.warm_up_s * SECOND_NS)
        except KeyboardInterrupt:
            if not events:
                raise
            popen.send_signal(signal.SIGINT)
            is_stopping, deadline_s = True, time.monotonic() + SLACK_S
    if is_stopping and not isinstance(events[-1], Done):
        raise KeyboardInterrupt
    return events


def _read(popen: subprocess.Popen[bytes], timeout_s: float) -> Event | None:
    """Return what is told next; None at the end, which is made when it takes too long."""
    line = read_line(popen, timeout_s)
    if not line:
        return None
    event: Event = msgspec.json.decode(line, type=Event)
    return event
