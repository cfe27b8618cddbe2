"""Measures how long a trial takes: all targets at once against each alone, interleaved; prints medians and their ratio.

    python scripts/measure_trial.py --repeat 3
    python scripts/measure_trial.py --conformance --targets mlflow kubernetes

The second measures all conformance checks of each target, beside the same with `--serial`, which asks one after another.
Images and wheels are cached by a run that is not counted; the kind cluster is made anew each time.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SEVEN = ("inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio")


SMOKE = ("--profile", "smoke")
CONFORMANCE = ("--profile", "standard", "--suite", "conformance")


def measure(target: str, *options: str) -> float:
    """Return the seconds of one `seatrial run`; a run that is not green is no figure."""
    with tempfile.TemporaryDirectory() as out:
        argv = [sys.executable, "-m", "seatrial", "run", "-q", "--target", target, "--out", out, *options]
        began_s = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        elapsed_s = time.perf_counter() - began_s
        if done.returncode != 0:
            sys.exit(f"{target}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        (path,) = Path(out).glob("*/run.json")
        if json.loads(path.read_text())["verdict"] != "pass":
            sys.exit(f"{target}: not everything ran\n{done.stdout}")
    return elapsed_s


def measure_all(targets: Sequence[str], repeat: int) -> None:
    """All targets in one trial beside each alone."""
    measure("all", *SMOKE)
    names = ["all", *targets]
    medians = print_medians(repeat, {name: functools.partial(measure, name, *SMOKE) for name in names})
    slowest = max(targets, key=lambda name: medians[name])
    sys.stdout.write(f"all / slowest alone ({slowest}): {medians['all'] / medians[slowest]:.2f}\n")
    sys.stdout.write(f"all / sum of all alone: {medians['all'] / sum(medians[name] for name in targets):.2f}\n")


def measure_conformance(targets: Sequence[str], repeat: int) -> None:
    """All conformance checks of each target, beside the same one after another."""
    for name in targets:
        measure(name, *SMOKE)
        ways = {
            name: functools.partial(measure, name, *CONFORMANCE),
            f"{name} --serial": functools.partial(measure, name, *CONFORMANCE, "--serial"),
        }
        medians = print_medians(repeat, ways)
        sys.stdout.write(f"{name}: {medians[name] / medians[f'{name} --serial']:.2f} of --serial\n")


def print_medians(repeat: int, ways: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Measure each in turn, several times; print a line each, and return its median in seconds."""
    times_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, measure_once in ways.items():
            times_s[name].append(measure_once())
            sys.stderr.write(f"{name}: {times_s[name][-1]:.1f} s\n")
    for name, series in times_s.items():
        median = statistics.median(series)
        sys.stdout.write(f"{name:<20} median {median:6.1f} s  min {min(series):6.1f} s  max {max(series):6.1f} s\n")
    return {name: statistics.median(series) for name, series in times_s.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--targets", nargs="+", default=list(SEVEN))
    parser.add_argument(
        "--conformance", action="store_true", help="all conformance checks, beside the same with --serial"
    )
    options = parser.parse_args()
    (measure_conformance if options.conformance else measure_all)(options.targets, options.repeat)
    sys.stdout.write(f"{options.repeat} runs each, interleaved; {os.cpu_count()} CPUs\n")


if __name__ == "__main__":
    main()
