"""Starts a master of Locust and its workers on this machine, and brings their result back. Every wait has a bound.

Locust is not imported here: it patches the process that does. What is started ends with the call, and by itself when this process
dies: its standard input ends then.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from seatrial.errors import ExitCode, HarnessError, SeatrialError, UsageError
from seatrial.load.arrivals import Arrivals
from seatrial.load.child import pick_environ
from seatrial.load.live import Snapshot
from seatrial.load.measuring import allow_warm_up
from seatrial.load.plan import Plan
from seatrial.load.questions import Questions
from seatrial.load.renewal import Renewal
from seatrial.load.result import LoadResult
from seatrial.load.stationarity import WarmUpLimits
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.merging import INTERRUPTED
from seatrial.load.swarm.messages import Order, encode_golden, encode_law, read_certificates, split_order

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
START_TIMEOUT_S: Final = 60.0
SLACK_S: Final = 200.0
"""Beyond the time of the plan: for pacers to be ready, for ends that are late, for figures."""
STOP_TIMEOUT_S: Final = 60.0
_END_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.05


class SwarmError(SeatrialError):
    """Nothing was sent: a worker could not begin. Its exit code is that of what was in the way."""


def run_swarm(
    plan: Plan,
    law: Arrivals | None,
    *,
    workers: int,
    directory: Path,
    seed: int = 1,
    questions: Questions | None = None,
    requested: float | None = None,
    warm_up: WarmUpLimits | None = None,
    locust_options: Sequence[str] = (),
    on_progress: Callable[[Snapshot], None] = lambda _: None,
) -> LoadResult:
    """Run a plan by several workers of Locust, and return the result of all. Ctrl-C stops it, and the result says so.

    Args:
        plan: of all workers: each has its share of the users, the connections and the schedule.
        law: of arrival, which each draws its share of; None in a closed loop.
        workers: how many processes send, each with a pacer of its own.
        directory: empty; takes logs, and the samples of each worker in `worker-0`, `worker-1`, …
        seed: of the schedule.
        questions: golden cases to ask and to hold every answer against; without them the plan's own requests are sent.
        requested: requests a second that were asked for.
        warm_up: how long it may be until times are level on every worker, by its share; None: as long as the plan says.
        locust_options: more of Locust's own, for its master: as `--csv PREFIX` or `--html FILE`, with whole paths.
        on_progress: is told how far all are, each second.

    Raises:
        UsageError: no worker, or more of them than users.
        SwarmError: nothing could be sent.
        HarnessError: Locust broke.
    """
    plan = allow_warm_up(plan if questions is None else questions.fill(plan), warm_up)
    order = Order(
        plan=plan,
        certificates=read_certificates(plan),
        golden=None if questions is None else encode_golden(questions),
        law=None if law is None else encode_law(law),
        seed=seed,
        requested=requested,
        warm_up=warm_up,
        directory=str(directory.absolute()),
    )
    if workers < 1:
        raise UsageError(f"{workers} workers are none, 1 or more were expected")
    split_order(order, workers)
    files = SwarmFiles(directory)
    files.write_order(order)
    with ExitStack() as stack:
        expected = ("--expect-workers", str(workers), "--expect-workers-max-wait", str(int(START_TIMEOUT_S)))
        listening = ("--master-bind-host", "127.0.0.1", "--master-bind-port", "0")
        options = ("--master", "--headless", "--only-summary", *listening, *expected, *locust_options)
        master = stack.enter_context(_start("master", directory, *options))
        port = str(_wait_for_port(files, master, directory))
        for worker in range(workers):
            stack.enter_context(_start(f"locust-{worker}", directory, "--worker", "--master-port", port))
        _follow(master, files, order, on_progress, Renewal(questions, files.add_renewal))
    return _read_result(files, directory)


def _read_result(files: SwarmFiles, directory: Path) -> LoadResult:
    conclusion = files.read_conclusion()
    if conclusion is None:
        raise _describe_breakdown("it ended without a result, or took too long", directory)
    if isinstance(conclusion, LoadResult):
        return conclusion
    if conclusion.exit_code == INTERRUPTED:
        raise KeyboardInterrupt
    error = SwarmError(conclusion.message, fix=conclusion.fix)
    error.exit_code = ExitCode(conclusion.exit_code)
    raise error


@contextlib.contextmanager
def _start(name: str, directory: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Locust for the length of the block; after it, it is asked to end, and then made to."""
    argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--seatrial-directory", str(directory.absolute())]
    with (
        (directory / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            [*argv, *options],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=pick_environ(),  # Not HOME: a user's .locust.conf is not for this.
            start_new_session=True,  # Ctrl-C is for this process, which tells the master.
        ) as popen,
    ):
        try:
            yield popen
        finally:
            assert popen.stdin is not None
            popen.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                popen.wait(_END_TIMEOUT_S)
            popen.kill()


def _wait_for_port(files: SwarmFiles, master: subprocess.Popen[bytes], directory: Path) -> int:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while (port := files.read_port()) is None:
        if master.poll() is not None or time.monotonic() > deadline_s:
            raise _describe_breakdown("its master did not come up", directory)
        time.sleep(_POLL_S)
    return port


def _follow(
    master: subprocess.Popen[bytes],
    files: SwarmFiles,
    order: Order,
    on_progress: Callable[[Snapshot], None],
    renewal: Renewal,
) -> None:
    """Return when the master has ended, or has taken too long."""
    deadline_s = time.monotonic() + order.plan.opening_timeout_s + order.whole_s + SLACK_S
    told = 0
    while time.monotonic() < deadline_s:
        try:
            over = master.poll() is not None
            for snapshot in files.read_progress(told):
                told += 1
                renewal.go_on()
                on_progress(snapshot)
            if over:
                return
            time.sleep(_POLL_S)
        except KeyboardInterrupt:
            master.send_signal(signal.SIGINT)
            deadline_s = time.monotonic() + STOP_TIMEOUT_S


def _describe_breakdown(how: str, directory: Path) -> HarnessError:
    log = directory / "master.log"
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
    return HarnessError(
        f"Locust broke: {how}; its master said: {said or 'nothing'}", fix=f"see the logs in {directory}"
    )
