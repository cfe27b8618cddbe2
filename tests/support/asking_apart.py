"""Checks that are asked apart, in a session of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_sessions import read_run, run_pytest
from seatrial.records import CheckRecord

HEAD = """
import threading
import time
from pathlib import Path

import pytest

from seatrial.checks import UnsupportedError, check
from seatrial.plugin import find_session

PATIENCE_S = 20.0

def ask(id, apart=False, **more):
    return check(id, id, sentence="it is.", source="here", apart=apart, **more)

def wait_for(name):
    path, until_s = Path(name), time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < until_s, f"nobody made {name}: nothing else was asked meanwhile"
        time.sleep(0.01)
"""
# The main thread's waits for the other's, and the other's for the main thread's: neither ends unless both are asked at once.
AT_ONCE = """
@ask("MINE1")
def test_main(seatrial_deployment, seatrial_facts):
    Path("main").touch()
    wait_for("apart")
    seatrial_facts["thread"] = threading.current_thread().name

@ask("MINE2", apart=True)
def test_apart(seatrial_deploy, seatrial_model, seatrial_facts, tmp_path):
    wait_for("main")
    (tmp_path / "kept").write_text("there")
    with seatrial_deploy(seatrial_model) as deployment:
        seatrial_facts["model"] = deployment.model.name
    Path("apart").touch()
    assert (tmp_path / "kept").read_text() == "there"
    seatrial_facts["thread"] = threading.current_thread().name
"""


def run_trial(
    directory: Path, asks: str, *arguments: str, code: int = 0
) -> tuple[str, dict[str, CheckRecord], Sequence[Any]]:
    (directory / "test_asks.py").write_text(HEAD + asks)
    done = run_pytest(directory, "--target", "inprocess", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    run = read_run(directory)
    return done.stdout, {check.id: check for check in run.targets["inprocess"].checks}, run.leftovers
