"""Sessions of a user's, of pytest and of `seatrial`, in a directory and with processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from seatrial.records import RunResult, decode_run


def make_environ(directory: Path, *, paths: Sequence[Path] = (), model: str = "nonce", **more: str) -> dict[str, str]:
    """The environment of a session that knows nothing of the one it is begun by.

    It looks for modules in `paths` before anywhere else. Without a `model`, it is for its arguments to name one.
    """
    environ = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    if model:
        environ["SEATRIAL_MODEL"] = model
    if paths:
        looked_in = [*map(str, paths), environ.get("PYTHONPATH", "")]
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, looked_in))
    return environ | {"SEATRIAL_STATE_DIR": str(directory / "state")} | more


def run_pytest(
    directory: Path,
    *arguments: str,
    paths: Sequence[Path] = (),
    model: str = "nonce",
    timeout_s: float = 170,
    **environ: str,
) -> subprocess.CompletedProcess[str]:
    environment = make_environ(directory, paths=paths, model=model, **environ)
    options = ("-p", "no:cacheprovider", "-p", "no:randomly")
    return run(directory, "-m", "pytest", *options, *arguments, timeout_s=timeout_s, environ=environment)


def run_seatrial(
    directory: Path, *arguments: str, paths: Sequence[Path] = (), timeout_s: float = 170, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of `seatrial` whose arguments, or whose environment, name the model where it needs one."""
    environment = make_environ(directory, paths=paths, model="", **environ)
    return run(directory, "-m", "seatrial", *arguments, timeout_s=timeout_s, environ=environment)


def run(
    directory: Path, *arguments: str, timeout_s: float, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run this Python, and keep what it says."""
    argv = [sys.executable, *arguments]
    return subprocess.run(argv, cwd=directory, env=environ, capture_output=True, text=True, timeout=timeout_s)


def read_run(directory: Path) -> RunResult:
    (path,) = (directory / "seatrial-results").glob("*/run.json")
    return decode_run(path.read_bytes())
