"""An interrupt that Python loses ends the session all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest

LOST = """
import gc, os, signal


def interrupt(phase, info):
    gc.callbacks.remove(interrupt)
    os.kill(os.getpid(), signal.SIGINT)


def test_first(seatrial_deployment):
    gc.callbacks.append(interrupt)
    gc.collect()
"""
SECOND = """

def test_second(seatrial_deployment):
    pass
"""
CAUGHT = """
import os, signal

import pytest


def test_first(seatrial_deployment):
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("tests", [LOST + SECOND, LOST], ids=["in-the-midst", "in-the-last"])
def test_an_interrupt_in_a_callback_of_the_collector_ends_the_session(tmp_path: Path, tests: str) -> None:
    (tmp_path / "test_mine.py").write_text(tests)

    done = run_pytest(tmp_path, "--target", "inprocess")

    assert done.returncode == 2, done.stdout + done.stderr
    run = read_run(tmp_path)
    assert run.verdict == "error"
    assert "it was interrupted, so not everything was asked" in run.causes
    assert "1 passed" in done.stdout


def test_an_interrupt_that_a_test_takes_itself_does_not(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(CAUGHT + SECOND)

    done = run_pytest(tmp_path, "--target", "inprocess")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
