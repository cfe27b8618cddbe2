"""A client that cannot measure must be found out; one that can must be left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from load_table.probe import Probe
from load_table.row import Options, Reading
from load_table.running import Measured, find_pacers, measure, on_cpu, put_load
from seatrial.load.arrivals import Constant
from seatrial.load.client_saturation import CLIENT_SATURATED
from seatrial.load.live import Snapshot
from seatrial.load.plan import Destination
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed

SERVICE = Behaviour(service=Fixed(seconds=0.005))
RATE = 500.0
DENSE_RATE = 2000.0
"""At which a pacer takes no real-time priority, so that neighbours and a quota take its CPU."""
DURATION_S = 5.0
NEIGHBOURS = 4
BEYOND = 150_000.0
CLEAN_RUNS = 50
QUICK_CLEAN_RUNS = 10
# So many runs are made at most to get one that is clean.
_MOST_PER_CLEAN = 2
_QUOTA = Path("/sys/fs/cgroup/cpu")
_QUOTA_US = 20_000
_FIRST_CPU = min(os.sched_getaffinity(0))


def measure_saturation(options: Options) -> Iterator[Reading]:
    """Each way of taking the CPU from the client, and runs of which none is taken."""
    for name, seeded in SEEDED.items():
        found, missed = 0, []
        for _ in range(options.repeats):
            result = seeded()
            if result is None:
                break
            codes = [reason.code for reason in result.result.reasons]
            said = " ".join(codes) or "valid"
            options.tell(f"{name}: {said}")
            # Late sends alone, which follow from it, may have other causes.
            if CLIENT_SATURATED in codes:
                found += 1
            else:
                missed.append(f"{said}, late by up to {result.result.dispatch_lag_s.max or 0:.3f} s")
        else:
            yield Reading(
                what=f"client saturation, seeded: {name}, {DURATION_S:g} s",
                must=f"found in every run, as {CLIENT_SATURATED}",
                reached=f"found in {found} of {options.repeats}" + "".join(f"; missed: {each}" for each in missed),
                met=found == options.repeats,
            )
            continue
        yield Reading(
            what=f"client saturation, seeded: {name}",
            must=f"found in every run, as {CLIENT_SATURATED}",
            reached="not possible on this machine",
            met=None,
        )
    yield _read_clean(options)


def _read_clean(options: Options) -> Reading:
    wanted = QUICK_CLEAN_RUNS if options.quick else CLEAN_RUNS
    clean = runs = 0
    flagged = []
    while clean < wanted and runs < _MOST_PER_CLEAN * wanted:
        runs += 1
        options.wait_quiet()
        with Probe() as probe:
            measured = measure(SERVICE, Constant(rate=RATE), duration_s=DURATION_S, seed=runs)
        if probe.disturbances:
            options.tell(f"run {runs} is not clean: {'; '.join(probe.disturbances)}")
            continue
        clean += 1
        if not measured.result.valid:
            flagged.append("; ".join(reason.message for reason in measured.result.reasons))
            options.tell(f"run {runs} is clean and was flagged: {flagged[-1]}")
    reached = f"{len(flagged)} flagged of {clean} clean runs ({runs} were made)" + "".join(
        f"; {each}" for each in flagged
    )
    return Reading(
        what=f"runs that an independent probe calls clean, {DURATION_S:g} s each",
        must=f"none flagged in {wanted}",
        reached=reached if clean == wanted else f"too few clean runs on this machine: {reached}",
        met=not flagged if clean == wanted else (False if flagged else None),
    )


def run_among_neighbours() -> Measured | None:
    """Four busy processes on the client's CPU."""
    with contextlib.ExitStack() as stack, on_cpu(_FIRST_CPU):
        for _ in range(NEIGHBOURS):
            stack.enter_context(_hog())
        return measure(SERVICE, Constant(rate=DENSE_RATE), duration_s=DURATION_S)


def run_stopped() -> Measured | None:
    """The client stops for 0.2 s each second, as under a debugger or a pause of its machine."""

    def stop(_: Snapshot) -> None:
        for pacer in find_pacers():
            pacer.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            pacer.send_signal(signal.SIGCONT)

    return measure(SERVICE, Constant(rate=RATE), duration_s=DURATION_S, on_progress=stop)


def run_under_quota() -> Measured | None:
    """The client's control group gets a fifth of a CPU; None where there is no such group to be had (cgroup v1 and v2)."""
    with contextlib.ExitStack() as stack:
        try:
            group = stack.enter_context(_make_group())
        except OSError:
            return None

        def confine(_: Snapshot) -> None:
            for pacer in find_pacers():
                (group / "cgroup.procs").write_text(str(pacer.pid))

        return measure(SERVICE, Constant(rate=DENSE_RATE), duration_s=DURATION_S, on_progress=confine)


def run_overloaded() -> Measured | None:
    """A rate that no client of one process sends, to a server that answers more than one does: it is not what is overloaded."""
    with _serve_bare() as destination:
        request = f"GET / HTTP/1.1\r\nHost: {destination.host}\r\n\r\n".encode()
        return put_load(destination, (request,), Constant(rate=BEYOND), duration_s=DURATION_S)


SEEDED: dict[str, Callable[[], Measured | None]] = {
    f"{NEIGHBOURS} busy neighbours on its CPU": run_among_neighbours,
    "SIGSTOP for 0.2 s each second": run_stopped,
    "a fifth of a CPU by its control group": run_under_quota,
    "a rate beyond it": run_overloaded,
}


@contextlib.contextmanager
def _serve_bare() -> Iterator[Destination]:
    argv = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        try:
            yield Destination(host="127.0.0.1", port=int(popen.stdout.readline()))
        finally:
            popen.kill()


@contextlib.contextmanager
def _hog() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as popen:
        try:
            yield
        finally:
            popen.kill()


@contextlib.contextmanager
def _make_group() -> Iterator[Path]:
    root = _QUOTA if _QUOTA.is_dir() else Path("/sys/fs/cgroup")
    group = root / f"seatrial-table-{os.getpid()}"
    group.mkdir()
    try:
        if _QUOTA.is_dir():
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(_QUOTA_US))
        else:
            (group / "cpu.max").write_text(f"{_QUOTA_US} 100000")
        yield group
    finally:
        group.rmdir()
