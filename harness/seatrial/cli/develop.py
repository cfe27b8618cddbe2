"""`seatrial test`: everything CI runs, in a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import load_settings
from seatrial.environ import copy_environ
from seatrial.errors import UsageError

if TYPE_CHECKING:
    from seatrial.settings import Settings

# In this order: what is quick to fail comes first.
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("mypy", ("mypy",)),
    ("import-linter", ("lint-imports",)),
    # They wait for half of their time.
    ("unit tests", ("pytest", "tests", "-m", "not ({services} or specimen)", "-n", "4", "--dist", "loadfile")),
    # They wait for two thirds of their time, most of it for answers that must not come.
    ("specimens", ("pytest", "tests", "-m", "specimen", "-n", "4", "--dist", "loadscope")),
    (
        "service tests",
        ("pytest", "tests", "-m", "({services}) and not alone", "-n", "3", "--dist", "loadfile", "--durations", "15"),
    ),
    ("trials", ("pytest", "tests", "-m", "({services}) and alone", "--durations", "15")),
)
SERVICES = "docker or kubernetes or sagemaker or mlflow or gradio or provision or browser or trial or wheel"


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Run just the stage whose name contains this.")] = "",
) -> None:
    """Provision, then run everything CI runs: linters, types, imports, unit tests, tests with real services, a whole trial.

    Other arguments go to pytest.
    """
    if not Path("pyproject.toml").is_file() or not Path("harness/seatrial").is_dir():
        raise UsageError("`seatrial test` tests a checkout of seatrial", fix="run ./seatrial test in the checkout")
    if only and not any(only in name for name, _ in CHECKS):
        raise UsageError(f"no stage has {only!r} in its name: {', '.join(name for name, _ in CHECKS)}")
    settings = load_settings({"target": ["all"]}, None)
    stages = [(name, _fill(argv, context.args)) for name, argv in CHECKS if only in name]
    # What only reads the checkout needs nothing of the machine, and runs while the rest is installed.
    reading = [(name, argv) for name, argv in stages if argv[0] != "pytest"]
    with ThreadPoolExecutor(1) as readers:
        read = [readers.submit(_run_stage, name, argv) for name, argv in reading]
        if not only:
            from seatrial.cli.provision import provision_targets

            provision_targets(settings, _say)
            _install_browser(settings)
        failed = [name for (name, _), outcome in zip(reading, read, strict=True) if not outcome.result()]
    failed += [name for name, argv in stages if argv[0] == "pytest" and not _run_stage(name, argv)]
    print(f"failed: {', '.join(failed)}" if failed else "all stages passed")
    raise typer.Exit(1 if failed or not stages else 0)


def _install_browser(settings: Settings) -> None:
    """The reports and the Gradio page are looked at in a real browser; `seatrial provision --undo` takes it back."""
    from seatrial.cli.provision import open_record
    from seatrial.provision.apt import install
    from seatrial.provision.context import Context

    if shutil.which("chromium") is None:
        record = open_record(settings)
        with record.locked():
            install(Context(record=record, progress=_say), "chromium", "fonts-dejavu-core")


def _say(line: str) -> None:
    print(line, flush=True)


def _fill(argv: tuple[str, ...], extra: list[str]) -> list[str]:
    filled = [word.format(services=SERVICES) for word in argv]
    return [*filled, *extra] if filled[0] == "pytest" else filled


def _run_stage(name: str, argv: list[str]) -> bool:
    """Run one stage; the output of what is quick comes in one piece, so that it does not mix with another's."""
    program = Path(sys.executable).parent / argv[0]
    _say(f"=== {name}: {' '.join(argv)}")
    began_s = time.monotonic()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environ = {**copy_environ(), "PATH": path}
    output, stderr = (None, None) if argv[0] == "pytest" else (subprocess.PIPE, subprocess.STDOUT)
    done = subprocess.run([program, *argv[1:]], env=environ, stdout=output, stderr=stderr, check=False)
    said = (done.stdout or b"").decode(errors="replace")
    ended = "passed" if done.returncode == 0 else f"FAILED ({done.returncode})"
    _say(f"{said}=== {name}: {ended} in {time.monotonic() - began_s:.0f} s")
    return done.returncode == 0
