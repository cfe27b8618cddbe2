"""Measures whether a stall of the server is charged to it: response times of `seatrial load` beside those that must come out.

    python scripts/measure_stall.py --rate 500 --duration 30 --stalls 0.5 1 2

The server answers after 5 ms, all requests in parallel, but during the stall nothing: what is due then comes at its end.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parent.parent / "tests" / "harness" / "load" / "answering.py"
DELAY_S = 0.005
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def predict(rate: float, duration_s: float, at_s: float, stall_s: float) -> dict[str, float]:
    """Return the response times, seconds, of constant arrivals: a request due in the stall is answered at its end."""
    due = [k / rate + DELAY_S for k in range(round(rate * duration_s))]
    took = sorted(at_s + stall_s - each + DELAY_S if at_s <= each < at_s + stall_s else DELAY_S for each in due)
    return {name: took[max(math.ceil(p * len(took) - 1e-9) - 1, 0)] for name, p in QUANTILES.items()}


def measure(rate: float, duration_s: float, at_s: float, stall_s: float) -> dict[str, Any]:
    """Return what `seatrial load` says."""
    argv = [sys.executable, str(SERVER), "freeze", str(DELAY_S), str(at_s), str(stall_s)]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
        tempfile.TemporaryDirectory() as out,
    ):
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        load = [sys.executable, "-m", "seatrial", "load", url, "--rate", str(rate), "--arrivals", "constant", "-q"]
        file = Path(out) / "load.json"
        subprocess.run(
            [*load, "--duration", str(duration_s), "--json", str(file)], check=False, stdout=subprocess.DEVNULL
        )
        server.kill()
        result: dict[str, Any] = json.loads(file.read_bytes())
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--duration", type=float, default=30.0)
    parser.add_argument("--stalls", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    options = parser.parse_args()
    for stall_s in options.stalls:
        at_s = options.duration / 3
        predicted = predict(options.rate, options.duration, at_s, stall_s)
        result = measure(options.rate, options.duration, at_s, stall_s)
        sys.stdout.write(
            f"stall of {stall_s:g} s: {'valid' if result['valid'] else 'INVALID: ' + str(result['reasons'])}\n"
        )
        for name, expected in predicted.items():
            got = result["response_time_s"][name]
            shown = "-" if got is None else f"{got * 1e3:9.1f} ms, {(got - expected) * 1e3:+.1f} ms"
            sys.stdout.write(f"  {name:>6} expected {expected * 1e3:9.1f} ms, got {shown}\n")
        lag = result["dispatch_lag_s"]
        sys.stdout.write(f"  sent late by p50 {lag['p50'] * 1e6:.0f} us, p99 {lag['p99'] * 1e6:.0f} us\n")


if __name__ == "__main__":
    main()
