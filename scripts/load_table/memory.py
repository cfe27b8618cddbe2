"""Memory: of the pacer, of the analysis of ten million records, and of a record."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from load_table.analyse_alone import MANY_FILE, RUN_FILE, read_peak
from load_table.row import Options, Reading
from load_table.running import find_pacers, measure
from load_table.verdicts import are_enough, tell_flaws, tell_left_out
from seatrial.load.arrivals import Constant, Poisson
from seatrial.load.client_saturation import CLIENT_SATURATED
from seatrial.load.driver import PacerRun, run_pacer
from seatrial.load.live import Snapshot
from seatrial.load.plan import Plan
from seatrial.load.samples import NEVER, SAMPLE
from seatrial.load.schedules import make_schedule
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed
from seatrial_fixtures.specimens.process import serve

RATE = 10_000.0
RECORDS = 10_000_000
WINDOW_NS = 1000 * 10**9
_BLOCK = 100_000
_MB = 1_000_000
_TIMEOUT_S = 600.0


HARMLESS = {"late-sends", CLIENT_SATURATED, "littles-law", "clock-step"}
"""What says that times are none: the pacer took all of its requests through, and that is what is weighed."""


class Weighed(NamedTuple):
    """One pacer."""

    peak_bytes: int
    flaw: str = ""
    """Why it did not carry the load, or was not seen to."""


def measure_memory(options: Options) -> Iterator[Reading]:
    """The pacer's own peak, and a child's that analyses a file."""
    duration_s = options.choose(30.0, 5.0)
    yield judge_peaks([weigh_pacer(duration_s, seed) for seed in range(1, options.repeats + 1)], duration_s)
    peak = _analyse_in_child()
    yield Reading(
        what=f"the analysis of {RECORDS:,} records, in a process of its own: resident memory at its peak (VmHWM)",
        must="at most 150 MB",
        reached=f"{peak / _MB:.0f} MB",
        met=peak <= 150 * _MB,
        figures={"bytes": float(peak)},
    )
    yield Reading(
        what="a record on disk", must="at most 64 bytes", reached=f"{SAMPLE.itemsize} bytes", met=SAMPLE.itemsize <= 64
    )


def judge_peaks(weighed: Sequence[Weighed], duration_s: float) -> Reading:
    """Return the line of pacers that each had the same load."""
    peaks = [each.peak_bytes for each in weighed if not each.flaw]
    left_out = tell_left_out([each.flaw for each in weighed if each.flaw], len(weighed))
    what = f"the pacer's resident memory at its peak (VmHWM), {RATE:g}/s for {duration_s:g} s"
    must = "at most 60 MB"
    if not are_enough(len(peaks), len(weighed)):
        return Reading(what=what, must=must, reached=f"not measured: {left_out}", met=None)
    peak = median(peaks)
    return Reading(
        what=what,
        must=must,
        reached=f"{peak / _MB:.1f} MB (median of {len(peaks)} runs)" + (f"; {left_out}" if left_out else ""),
        met=peak <= 60 * _MB,
        figures={"bytes": float(peak)},
    )


def weigh_pacer(duration_s: float, seed: int) -> Weighed:
    """Return the peak of a pacer as the kernel tells of it, and not the pacer itself."""
    peaks = [0]

    def look(_: Snapshot) -> None:
        peaks.extend(read_peak(Path(f"/proc/{pacer.pid}/status")) for pacer in find_pacers())

    measured = measure(
        Behaviour(service=Fixed(seconds=0.005)),
        Poisson(rate=RATE),
        duration_s=duration_s,
        seed=seed,
        questions=1000,
        on_progress=look,
    )
    flaw = tell_flaws(measured.result.reasons if not measured.result.valid else (), harmless=HARMLESS)
    return Weighed(peak_bytes=max(peaks), flaw=flaw or ("" if max(peaks) else "nobody saw the pacer"))


def _analyse_in_child() -> int:
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as name:
        write_run(Path(name))
        argv = [sys.executable, str(Path(__file__).with_name("analyse_alone.py")), name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return int(done.stdout)


def write_run(directory: Path) -> None:
    """Write a run of ten million requests, for `analyse_alone.read_run`."""
    run = _run_shortly(directory)
    begin_ns = run.done.start_ns
    changes = {
        "end_ns": begin_ns + WINDOW_NS + 10**9,
        "scheduled": RECORDS,
        "sent": RECORDS,
        "in_flight_area_ns": _write_samples(directory / MANY_FILE, begin_ns),
        "loop_lag_ns": (),
        "window_begin_ns": begin_ns,
        "window_end_ns": begin_ns + WINDOW_NS,
    }
    known = {field: value for field, value in changes.items() if field in run.done.__struct_fields__}
    plan = msgspec.structs.replace(run.plan, duration_s=WINDOW_NS / 1e9)
    done = msgspec.structs.replace(run.done, **known)
    (directory / RUN_FILE).write_bytes(msgspec.json.encode((plan, run.ready, done)))


def _run_shortly(directory: Path) -> PacerRun:
    """Return a real run, whose gauges stand for those of the long one."""
    schedule = make_schedule(Constant(rate=50.0), duration_s=1.0, seed=1)
    with serve(Behaviour()) as specimen:
        plan = Plan(
            destination=specimen.destination,
            requests=(specimen.make_request(1),),
            cases=(0,),
            mode="open",
            duration_s=1.0,
        )
        return run_pacer(plan, schedule.offsets_ns, directory=directory)


def _write_samples(path: Path, begin_ns: int) -> int:
    """Write ten million records, evenly spaced sends of times that vary; return the nanoseconds in flight within the window."""
    rng = np.random.default_rng(1)
    area_ns = 0
    with path.open("wb") as file:
        for first in range(0, RECORDS, _BLOCK):
            block = np.zeros(_BLOCK, SAMPLE)
            block["intended_ns"] = begin_ns + (first + np.arange(_BLOCK)) * (WINDOW_NS // RECORDS)
            block["sent_ns"] = block["intended_ns"] + rng.integers(1000, 50_000, _BLOCK)
            block["last_ns"] = block["sent_ns"] + rng.lognormal(np.log(5e6), 0.5, _BLOCK).astype(np.int64)
            block["first_ns"] = block["last_ns"]
            block["connect_ns"] = NEVER
            block["status"] = 200
            area_ns += int((np.minimum(block["last_ns"], begin_ns + WINDOW_NS) - block["sent_ns"]).clip(0).sum())
            block.tofile(file)
    return area_ns
