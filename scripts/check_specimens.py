"""`seatrial check` against every HTTP specimen: does a server that is wrong in one way fail just the checks that it must?

    python scripts/check_specimens.py                 all of them, two at a time: half an hour or so
    python scripts/check_specimens.py --only texts    of one family, or by name

Each is started as a program of its own, asked by the command as any endpoint is, and ended. What a foreign endpoint cannot be
asked, for it would have to be killed or updated, is left out of what is expected. Prints a line a specimen, and the score.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import msgspec

from seatrial.check_result import CheckResult
from seatrial_fixtures.processes import choose_port
from seatrial_fixtures.wrong.catalogue import Specimen, load_families
from seatrial_fixtures.wrong.security import AUTHORIZATION
from seatrial_fixtures.wrong.speech import SPEECHES

TIMEOUT_S = 900.0
START_TIMEOUT_S = 30.0
POLL_S = 0.05
_NOT_ASKED = frozenset({"unsupported", "not-run"})


def build(locator: str, out: Path) -> Path:
    """Build a model and return the directory of its first version."""
    argv = [sys.executable, "-m", "seatrial", "build", locator, str(out)]
    subprocess.run(argv, check=True, capture_output=True, cwd=Path(__file__).parents[1] / "tests" / "suites")
    return min(path.parent for path in out.rglob("model.json"))


@contextmanager
def serve(name: str, model: Path, directory: Path) -> Iterator[int]:
    """Run a specimen for the block, and give its port."""
    port = choose_port()
    argv = [sys.executable, "-m", "seatrial_fixtures.wrong", name, "--model", str(model), "--port", str(port)]
    with (directory / "log").open("w+b") as log, subprocess.Popen(argv, stdout=log, stderr=log) as child:
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            # Some bind other addresses too, so that the port is free says less than that somebody takes connections there.
            while not _is_taken(port):
                if child.poll() is not None or time.monotonic() > deadline_s:
                    raise SystemExit(f"{name} does not listen: {(directory / 'log').read_text(errors='replace')}")
                time.sleep(POLL_S)
            yield port
        finally:
            child.kill()


def _is_taken(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def ask(name: str, specimen: Specimen, model: Path) -> tuple[str, bool]:
    """Ask one specimen; return a line on it, and whether it failed just what it must."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with serve(name, model, directory) as port:
            argv = [sys.executable, "-m", "seatrial", "check", f"http://127.0.0.1:{port}", "--wire", specimen.wire]
            argv += ["--model", str(model), "--json", "-", "-q"]
            if SPEECHES[specimen.wire].name:
                argv += ["--name", SPEECHES[specimen.wire].name]
            if "auth" in specimen.claims:
                argv += [word for each in AUTHORIZATION.items() for word in ("--header", ": ".join(each))]
            try:
                done = subprocess.run(
                    argv, check=False, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S
                )
            except subprocess.TimeoutExpired:
                return f"{name}: no result within {TIMEOUT_S:g} s", False
    if not done.stdout:
        return f"{name}: no result, exit code {done.returncode}: {done.stderr.strip()[-300:]}", False
    checks = msgspec.json.decode(done.stdout, type=CheckResult).checks
    red = {each.id for each in checks if each.status in {"fail", "error"}}
    wanted = specimen.trips - {each.id for each in checks if each.status in _NOT_ASKED}
    asked = len(checks) - sum(each.status in _NOT_ASKED for each in checks)
    told = f"{name}: {asked} asked, red {', '.join(sorted(red)) or 'none'}"
    return (told, True) if red == wanted else (f"{told}; expected {', '.join(sorted(wanted)) or 'none'}", False)


def main() -> int:
    """Ask them all, and tell the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="a family or a specimen; repeats")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, ThreadPoolExecutor(options.jobs) as pool:
        nonce, datatypes = build("nonce", Path(text) / "a"), build("every_datatype:model", Path(text) / "b")
        asked = [
            pool.submit(ask, name, specimen, datatypes if family == "protocol-v2" else nonce)
            for family, members in load_families().items()
            for name, specimen in members.items()
            if not options.only or {family, name} & set(options.only)
        ]
        right = 0
        for future in as_completed(asked):
            line, is_right = future.result()
            right += is_right
            sys.stdout.write(f"{'ok   ' if is_right else 'WRONG'} {line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{right} of {len(asked)} fail just what they must: {100 * right / max(1, len(asked)):.0f} %\n")
    return 0 if asked and right == len(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
