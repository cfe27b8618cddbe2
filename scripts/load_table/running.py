"""Runs over specimens, with what client and server each wrote down, request by request."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from load_table.row import Options
from seatrial.load.arrivals import Arrivals, Offsets
from seatrial.load.live import Snapshot
from seatrial.load.measuring import measure_load
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.result import LoadResult
from seatrial.load.samples import Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.specimen import SERVED, Served
from seatrial_fixtures.specimens.behaviour import Behaviour
from seatrial_fixtures.specimens.process import serve

MOST_TRIES = 3
_MOST_QUESTIONS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. Where each question was asked once, record k of `samples` and of `served` are of the same request."""

    result: LoadResult
    samples: Samples
    served: Served
    offsets_ns: Offsets


def measure(
    behaviour: Behaviour,
    arrivals: Arrivals,
    *,
    duration_s: float,
    seed: int = 1,
    questions: int = _MOST_QUESTIONS,
    on_progress: Callable[[Snapshot], None] = lambda _: None,
) -> Measured:
    """Put an open loop on a specimen; when there are more requests than questions, they come again."""
    count = min(len(make_schedule(arrivals, duration_s=duration_s, seed=seed).offsets_ns), questions)
    with serve(behaviour) as specimen:
        requests = tuple(specimen.make_request(number) for number in range(count))
        run = put_load(
            specimen.destination, requests, arrivals, duration_s=duration_s, seed=seed, on_progress=on_progress
        )
        served = specimen.read_log()
    return replace(run, served=served[np.argsort(served["question"], kind="stable")])


def put_load(
    destination: Destination,
    requests: tuple[bytes, ...],
    arrivals: Arrivals,
    *,
    duration_s: float,
    seed: int = 1,
    on_progress: Callable[[Snapshot], None] = lambda _: None,
) -> Measured:
    """Put an open loop on a server; of one that keeps no log nothing is known."""
    schedule = make_schedule(arrivals, duration_s=duration_s, seed=seed)
    plan = Plan(
        destination=destination,
        requests=requests,
        cases=tuple(range(len(requests))),
        mode="open",
        duration_s=duration_s,
        connections=16,
        timeout_s=30.0,
        drain_s=10.0,
    )
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory:
        result = measure_load(plan, schedule, directory=Path(directory), on_progress=on_progress)
        samples = np.array(read_samples(Path(directory) / SAMPLES_FILE))
    return Measured(
        result=result,
        samples=samples[np.argsort(samples["case"], kind="stable")],
        served=np.empty(0, SERVED),
        offsets_ns=schedule.offsets_ns,
    )


def measure_valid(options: Options, what: str, run: Callable[[], Measured]) -> Measured | None:
    """Return the first valid run of three; None, and say why, when there is none.

    Rows take that for a miss, not for something that was not measured: what is late by the client's own doing is INVALID too.
    """
    for _ in range(MOST_TRIES):
        options.wait_quiet()
        measured = run()
        if measured.result.valid:
            return measured
        options.tell(f"{what}: INVALID, {'; '.join(reason.message for reason in measured.result.reasons)}")
    return None


def find_pacers() -> list[psutil.Process]:
    """Return the pacers that this process has started and that have not ended."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "seatrial.load.pacer" in child.cmdline():
                found.append(child)
    return found


@contextlib.contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
