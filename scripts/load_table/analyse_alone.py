"""Analyses the run in a directory and writes the peak of this process's resident memory, bytes; for `memory.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from seatrial.load.analysis import analyse
from seatrial.load.driver import PacerRun
from seatrial.load.judging import judge
from seatrial.load.objectives import Objectives
from seatrial.load.plan import Done, Plan, Ready
from seatrial.load.ranking import rank_requests
from seatrial.load.samples import read_samples

MANY_FILE = "many.bin"
RUN_FILE = "run.json"


def main() -> None:
    """Analyse, judge, see that figures came out, and write the peak."""
    run = read_run(Path(sys.argv[1]))
    result = analyse(run)
    judged = judge(result, rank_requests(run.samples), Objectives(p99_ms=50.0, error_rate=0.001))
    if (
        judged.status != "met"
        or not result.valid
        or result.requests != len(run.samples)
        or result.response_time_s.p99_9 is None
    ):
        sys.exit(f"the analysis went wrong: {msgspec.json.encode(result).decode()}")
    sys.stdout.write(f"{read_peak(Path('/proc/self/status'))}\n")


def read_run(directory: Path) -> PacerRun:
    """Return the run that `memory.write_run` wrote."""
    plan, ready, done = msgspec.json.decode((directory / RUN_FILE).read_bytes(), type=tuple[Plan, Ready, Done])
    return PacerRun(plan=plan, ready=ready, done=done, samples=read_samples(directory / MANY_FILE), answers=())


def read_peak(status: Path) -> int:
    """Return the largest resident memory that a process ever had, bytes (proc_pid_status(5)).

    ru_maxrss is not that: a child that was begun by vfork, as Python does, begins with its parent's.
    """
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
