"""pytest sessions of a user's, in a directory and with processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from seatrial.records import RunResult, decode_run


def make_environ(directory: Path, **more: str) -> dict[str, str]:
    """The environment of a session that knows nothing of the one it is begun by."""
    environ = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    return environ | {"SEATRIAL_MODEL": "nonce", "SEATRIAL_STATE_DIR": str(directory / "state")} | more


def run_pytest(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    environment = make_environ(directory, **environ)
    return subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, timeout=170)


def read_run(directory: Path) -> RunResult:
    (path,) = (directory / "seatrial-results").glob("*/run.json")
    return decode_run(path.read_bytes())
