"""Starts a pacer, gives it its plan, and brings back what it recorded. Every wait has a bound."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from seatrial.errors import ExitCode, HarnessError, SeatrialError
from seatrial.load.arrivals import SECOND_NS, Offsets
from seatrial.load.child import pick_environ, read_line, write_line
from seatrial.load.plan import (
    ANSWERS_FILE,
    SAMPLES_FILE,
    SCHEDULE_FILE,
    WARM_UP_FILE,
    DistinctAnswer,
    Done,
    Event,
    Failed,
    Plan,
    Progress,
    Ready,
)
from seatrial.load.samples import Samples, read_samples

READY_TIMEOUT_S = 60.0
"""Besides what its connections may take: it starts, and reads its plan."""
SLACK_S = 30.0
LEAD_S = 0.1
"""Between `go` and the first send: the order must have arrived by then."""


class UnconnectedError(SeatrialError):
    """The pacer got no connection to begin with."""


class ExhaustedClientError(SeatrialError):
    """The client ran out of descriptors or ports before it had the connections to begin with."""

    exit_code = ExitCode.MEASUREMENT_INVALID

    def __init__(self, message: str, *, fix: str, exhausted: str) -> None:
        super().__init__(message, fix=fix)
        self.exhausted = exhausted
        """What ran out: descriptors, ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacerRun:
    """What a pacer did."""

    plan: Plan
    ready: Ready
    done: Done
    samples: Samples
    answers: tuple[DistinctAnswer, ...] = ()
    """Where they were read: of a long run they can be many."""


class Pacer:
    """A pacer's process; it ends with the block, and by itself when this process dies.

    Args:
        plan: what it is told.
        offsets_ns: open loop: sends of the window, from its beginning.
        directory: empty; takes what it records.
        warm_up_ns: open loop: sends of the warm-up, from its beginning.
    """

    def __init__(
        self, plan: Plan, offsets_ns: Offsets | None, directory: Path, *, warm_up_ns: Offsets | None = None
    ) -> None:
        self._plan = plan
        self._directory = directory
        if offsets_ns is not None:
            np.save(directory / SCHEDULE_FILE, offsets_ns)
        if warm_up_ns is not None:
            np.save(directory / WARM_UP_FILE, warm_up_ns)
        self._overdue: threading.Timer | None = None
        self._errors = (directory / "pacer.log").open("w+b")
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "seatrial.load.pacer", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=pick_environ("HOME"),
            start_new_session=True,  # Ctrl-C is for this process: it tells the pacer, and reads what there is.
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout, self._errors):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()

    def wait_ready(self) -> Ready:
        """Hand over the plan, and return when connections are open.

        Raises:
            UnconnectedError: there is none to be had, or too few.
            ExhaustedClientError: the client has too few descriptors or ports for them.
            HarnessError: the pacer broke.
        """
        self._order(msgspec.json.encode(self._plan))
        event = self._read(READY_TIMEOUT_S + self._plan.opening_timeout_s)
        if isinstance(event, Failed):
            if event.exhausted:
                raise ExhaustedClientError(event.message, fix=event.fix, exhausted=event.exhausted)
            raise UnconnectedError(event.message, fix=event.fix)
        if not isinstance(event, Ready):
            raise self._broke(f"it said {event!r} before it was ready")
        return event

    def run(self, start_ns: int, on_progress: Callable[[Progress], None]) -> Done:
        """Let it send from a monotonic time on, and return when it is done. Ctrl-C stops it, and the result says so.

        `on_progress` is called about once a second, and may give orders.
        """
        self._order(f"go {start_ns}".encode())
        plan = self._plan
        whole_s = plan.warm_up_s + plan.duration_s + plan.drain_s + plan.timeout_s + SLACK_S
        deadline_s = time.monotonic() + whole_s
        while True:
            try:
                event = self._read(deadline_s - time.monotonic())
                if isinstance(event, Done):
                    return event
                if isinstance(event, Progress):
                    on_progress(event)
            except KeyboardInterrupt:
                self.stop()
                deadline_s = time.monotonic() + SLACK_S

    def stop(self) -> None:
        """Have it send nothing more, while `run` waits elsewhere: that returns soon, or raises when it is not obeyed."""
        self._order_while_it_runs(b"stop")
        if self._overdue is None:
            self._overdue = threading.Timer(SLACK_S, self._popen.kill)
            self._overdue.daemon = True
            self._overdue.start()

    def begin_window(self, at_ns: int) -> None:
        """End the warm-up at a monotonic time that is still to come."""
        self._order_while_it_runs(b"window %d" % at_ns)

    def end_window(self) -> None:
        """End the window now, as what was to be known is."""
        self._order_while_it_runs(b"end")

    def renew(self, case: int, request: bytes) -> None:
        """Have other bytes sent for a case."""
        self._order_while_it_runs(b"renew %d %s" % (case, base64.b64encode(request)))

    def _order_while_it_runs(self, line: bytes) -> None:
        """Give an order that a pacer whose run has just ended need not take: what it says next tells whether it has."""
        with contextlib.suppress(BrokenPipeError):
            write_line(self._popen, line)

    def _order(self, line: bytes) -> None:
        try:
            write_line(self._popen, line)
        except BrokenPipeError:
            raise self._broke("it is gone") from None

    def _read(self, timeout_s: float) -> Event:
        line = read_line(self._popen, timeout_s)
        if not line:
            raise self._broke("it ended, or did not answer in time")
        event: Event = msgspec.json.decode(line, type=Event)
        return event

    def _broke(self, how: str) -> HarnessError:
        self._popen.kill()
        self._popen.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")[-2000:]
        return HarnessError(f"the pacer broke: {how}; exit code {self._popen.returncode}; it said: {said or 'nothing'}")


def run_pacer(
    plan: Plan, offsets_ns: Offsets | None, *, directory: Path, on_progress: Callable[[Progress], None] = lambda _: None
) -> PacerRun:
    """Run one plan in `directory`, which must be empty, and return what came of it.

    Raises:
        UnconnectedError: no connection could be made to begin with.
        ExhaustedClientError: the client has too few descriptors or ports for them.
        HarnessError: the pacer broke.
    """
    with Pacer(plan, offsets_ns, directory) as pacer:
        ready = pacer.wait_ready()
        done = pacer.run(time.monotonic_ns() + int(LEAD_S * SECOND_NS), on_progress)
    return PacerRun(
        plan=plan,
        ready=ready,
        done=done,
        samples=read_samples(directory / SAMPLES_FILE),
        answers=tuple(read_answers(directory)),
    )


def read_answers(directory: Path) -> Iterator[DistinctAnswer]:
    """Return the distinct answers of a run in the order of their index, one at a time: they may be many."""
    with (directory / ANSWERS_FILE).open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=DistinctAnswer)
