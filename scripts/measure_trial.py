"""Measures how long a trial takes: all targets at once against each alone, interleaved; prints medians and their ratio.

    python scripts/measure_trial.py --repeat 3

Images and wheels are cached by a run that is not counted; the kind cluster is made anew each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEVEN = ("inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio")


def measure(target: str) -> float:
    """Return the seconds of one `seatrial run`; a run that is not green is no figure."""
    with tempfile.TemporaryDirectory() as out:
        argv = [sys.executable, "-m", "seatrial", "run", "-q", "--target", target, "--profile", "smoke", "--out", out]
        began_s = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        elapsed_s = time.perf_counter() - began_s
        if done.returncode != 0:
            sys.exit(f"{target}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        (path,) = Path(out).glob("*/run.json")
        if json.loads(path.read_text())["verdict"] != "pass":
            sys.exit(f"{target}: not everything ran\n{done.stdout}")
    return elapsed_s


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--targets", nargs="+", default=list(SEVEN))
    options = parser.parse_args()
    measure("all")
    times_s: dict[str, list[float]] = {name: [] for name in ["all", *options.targets]}
    for _ in range(options.repeat):
        for name, series in times_s.items():
            series.append(measure(name))
            sys.stderr.write(f"{name}: {series[-1]:.1f} s\n")
    medians = {name: statistics.median(series) for name, series in times_s.items()}
    slowest = max(options.targets, key=lambda name: medians[name])
    for name, series in times_s.items():
        sys.stdout.write(
            f"{name:<12} median {medians[name]:6.1f} s  min {min(series):6.1f} s  max {max(series):6.1f} s\n"
        )
    sys.stdout.write(f"all / slowest alone ({slowest}): {medians['all'] / medians[slowest]:.2f}\n")
    sys.stdout.write(f"all / sum of all alone: {medians['all'] / sum(medians[name] for name in options.targets):.2f}\n")
    sys.stdout.write(f"{options.repeat} runs each, interleaved; {os.cpu_count()} CPUs\n")


if __name__ == "__main__":
    main()
