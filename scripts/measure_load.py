"""Measures the load engine against what it must reach, row by row.

    python scripts/measure_load.py                          everything, about an hour
    python scripts/measure_load.py --quick                  everything in short, about eight minutes: says whether it works
    python scripts/measure_load.py --only stall --only lag --patience 60
    python scripts/measure_load.py --strict --known-miss throughput/FastHttpUser-512

Each line says what it must reach, what it reached (the median of several runs, in turn with what it is compared to) and
whether that is enough. Nothing is left out: what was not measured says why. Each row waits until no trial and no other load
run uses the machine, and keeps them waiting. Exit code: 1 when something is not met that was not named as known; with --strict
also when something was not measured that was not.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from load_table.answers import measure_answers
from load_table.checking_cost import measure_checking
from load_table.lag import measure_lag
from load_table.memory import measure_memory
from load_table.one_worker import measure_one_worker
from load_table.percentiles import measure_coverage, measure_percentiles
from load_table.row import Options, Reading, Row, name_bound, render
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
    "checking": measure_checking,
    "saturation": measure_saturation,
}
SCHEMA = "seatrial.load-table/1"
UNKEPT = {"throughput", "percentiles", "intervals"}
"""The first keeps the machine client by client, for one of them is a command that does so itself; the others put no load on."""


def main() -> None:
    """Measure and print."""
    given = _parse()
    # As Ctrl-C does: what a row has started, nginx among it, ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _measure(given)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what was measured stands above, and nothing is left running\n")
        sys.exit(130)


def _measure(given: argparse.Namespace) -> None:
    repeats = given.repeats or (1 if given.quick else 5)
    options = Options(quick=given.quick, repeats=repeats, patience_s=given.patience)
    readings: dict[str, list[Reading]] = {}
    for name in given.only or ROWS:
        began_s = time.monotonic()
        readings[name] = []
        with _keep_machine(name, options):
            for reading in ROWS[name](options):
                readings[name].append(reading)
                sys.stdout.write(render(name, reading, known=name_bound(name, reading) in given.known_miss))
                sys.stdout.flush()
        options.tell(f"{name} took {time.monotonic() - began_s:.0f} s")
    if given.json:
        _write(given.json, readings, options, given.known_miss)
    told, code = conclude(readings, given.known_miss, strict=given.strict)
    sys.stdout.write(told)
    sys.exit(code)


def conclude(
    readings: Mapping[str, Sequence[Reading]], known: Sequence[str], *, strict: bool = False
) -> tuple[str, int]:
    """Return the last lines and the exit code, which is 1 too when a known miss is no bound of the rows that were measured.

    Args:
        readings: by row.
        known: names of bounds that may be missed, and not be measured.
        strict: what was not measured is as bad as what is not met.
    """
    listed = [(row, reading) for row, each in readings.items() for reading in each if not reading.is_remark]
    met = [(name_bound(row, reading), reading.met) for row, reading in listed]
    missed = [name for name, verdict in met if verdict is False]
    unexpected = [name for name in missed if name not in known]
    unmeasured = [name for name, verdict in met if verdict is None]
    lacking = [name for name in dict.fromkeys(unmeasured) if strict and name not in known]
    names = {name for name, _ in met}
    unknown = [name for name in known if name.partition("/")[0] in readings and name not in names]
    lines = [f"{name} is known as a miss, and is met" for name, verdict in met if verdict and name in known]
    lines += [f"{name} is known as a miss, and is no bound: {', '.join(sorted(names))}" for name in unknown]
    lines += [f"{name} was not measured, which --strict does not allow" for name in lacking]
    counts = [f"{len(met) - len(missed) - len(unmeasured)} met", f"{len(unexpected)} NOT MET"]
    counts += [f"{len(missed) - len(unexpected)} missed (known)"] if known else []
    lines.append(", ".join([*counts, f"{len(unmeasured)} not measured"]))
    return "\n".join(lines) + "\n", 1 if unexpected or unknown or lacking else 0


def _parse() -> argparse.Namespace:
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
    parser.add_argument(
        "--known-miss",
        action="append",
        default=[],
        metavar="NAME",
        help="ROW, or ROW/BOUND of throughput, that may be missed, or not measured; repeats",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 also when something was not measured and is no --known-miss"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    rows = {name.partition("/")[0] for name in given.known_miss}
    if rows - set(ROWS):
        parser.error(
            f"--known-miss: {', '.join(sorted(rows - set(ROWS)))} is no row, one of {', '.join(ROWS)} was expected"
        )
    return given


def _keep_machine(row: str, options: Options) -> AbstractContextManager[None]:
    """Keep trials and other load runs out, from the first run of a row to its last: what watches them begins before they do."""
    return nullcontext() if row in UNKEPT else HostLock().measure(options.tell)


def _write(path: Path, readings: dict[str, list[Reading]], options: Options, known: Sequence[str]) -> None:
    table = {
        "schema": SCHEMA,
        "quick": options.quick,
        "repeats": options.repeats,
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "rows": readings,
        "known_misses": known,
        "log": options.log,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=2) + b"\n")


if __name__ == "__main__":
    main()
