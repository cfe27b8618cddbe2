"""Measures what starting costs: `seatrial --help`, and the plug-in in a pytest that does not use it.

    python scripts/measure_startup.py --repeat 15

Each is run in turn with what it is compared to; medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nothing.py"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "seatrial --help": [str(Path(sys.executable).parent / "seatrial"), "--help"],
    "pytest without the plug-in": [*PYTEST, "-p", "no:seatrial"],
    "pytest with the plug-in": PYTEST,
}


def measure(argv: list[str], directory: Path) -> float:
    """Return the seconds of one run."""
    began_s = time.perf_counter()
    subprocess.run(argv, cwd=directory, check=True, capture_output=True)
    return time.perf_counter() - began_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    times_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "test_nothing.py").write_text("def test_nothing():\n    assert True\n")
        for _ in range(options.repeat + 1):
            for what, argv in COMMANDS.items():
                times_s[what].append(measure(argv, directory))
    medians = {what: statistics.median(series[1:]) for what, series in times_s.items()}
    for what, series in times_s.items():
        sys.stdout.write(f"{what:<28} median {medians[what] * 1e3:6.0f} ms  min {min(series[1:]) * 1e3:6.0f} ms\n")
    added_ms = (medians["pytest with the plug-in"] - medians["pytest without the plug-in"]) * 1e3
    sys.stdout.write(f"the plug-in adds {added_ms:.0f} ms\n")


if __name__ == "__main__":
    main()
