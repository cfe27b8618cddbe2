"""Measures the load engine against what it must reach, row by row.

    python scripts/measure_load.py                          everything, about an hour
    python scripts/measure_load.py --quick                  everything in short, about eight minutes: says whether it works
    python scripts/measure_load.py --only stall --only lag --patience 60

Each line says what it must reach, what it reached (the median of several runs, in turn with what it is compared to) and
whether that is enough. Nothing is left out: what was not measured says why. Each row waits until no trial and no other load
run uses the machine, and keeps them waiting. Exit code: 1 when something is not met.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from load_table.answers import measure_answers
from load_table.lag import measure_lag
from load_table.memory import measure_memory
from load_table.one_worker import measure_one_worker
from load_table.percentiles import measure_coverage, measure_percentiles
from load_table.row import Options, Reading, Row, render
from load_table.saturation import measure_saturation
from load_table.schedule import measure_schedule
from load_table.stall import measure_stalls
from load_table.throughput import measure_throughput
from seatrial.load.host_lock import HostLock

ROWS: dict[str, Row] = {
    "stall": measure_stalls,
    "one-worker": measure_one_worker,
    "throughput": measure_throughput,
    "lag": measure_lag,
    "schedule": measure_schedule,
    "percentiles": measure_percentiles,
    "intervals": measure_coverage,
    "memory": measure_memory,
    "answers": measure_answers,
    "saturation": measure_saturation,
}
SCHEMA = "seatrial.load-table/1"
UNKEPT = {"throughput", "percentiles", "intervals"}
"""The first keeps the machine client by client, for one of them is a command that does so itself; the others put no load on."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", choices=list(ROWS), metavar="ROW", help=f"one of {', '.join(ROWS)}; repeats"
    )
    parser.add_argument("--quick", action="store_true", help="short runs, once each")
    parser.add_argument(
        "--repeats", type=int, default=0, help="runs of which the median counts; default 5, with --quick 1"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long before each run for an idle machine",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    repeats = given.repeats or (1 if given.quick else 5)
    options = Options(quick=given.quick, repeats=repeats, patience_s=given.patience)
    readings: dict[str, list[Reading]] = {}
    for name in given.only or ROWS:
        began_s = time.monotonic()
        readings[name] = []
        with _keep_machine(name, options):
            for reading in ROWS[name](options):
                readings[name].append(reading)
                sys.stdout.write(render(name, reading))
                sys.stdout.flush()
        options.tell(f"{name} took {time.monotonic() - began_s:.0f} s")
    if given.json:
        _write(given.json, readings, options)
    listed = [reading for row in readings.values() for reading in row]
    missed = sum(reading.met is False for reading in listed)
    unmeasured = sum(reading.met is None for reading in listed)
    sys.stdout.write(f"{len(listed) - missed - unmeasured} met, {missed} NOT MET, {unmeasured} not measured\n")
    sys.exit(1 if missed else 0)


def _keep_machine(row: str, options: Options) -> AbstractContextManager[None]:
    """Keep trials and other load runs out, from the first run of a row to its last: what watches them begins before they do."""
    return nullcontext() if row in UNKEPT else HostLock().measure(options.tell)


def _write(path: Path, readings: dict[str, list[Reading]], options: Options) -> None:
    table = {
        "schema": SCHEMA,
        "quick": options.quick,
        "repeats": options.repeats,
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "rows": readings,
        "log": options.log,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=2) + b"\n")


if __name__ == "__main__":
    main()
