"""Checks that are asked apart: at the same time as others of their target, and told like any other. Sessions of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from asking_apart import AT_ONCE, run_trial

OUTCOMES = """
@ask("MINE1", apart=True)
def test_fails(seatrial_deploy):
    raise AssertionError("it does not hold")

@ask("MINE2", apart=True)
def test_breaks(seatrial_deploy):
    raise KeyError("broken")

@ask("MINE3", apart=True)
def test_skips(seatrial_deploy):
    pytest.skip("not claimed")

@ask("MINE4", apart=True)
def test_unsupported(seatrial_deploy):
    raise UnsupportedError("not here")

@ask("MINE5", apart=True, needs={"self-heal"})
def test_not_asked(seatrial_deploy):
    raise AssertionError("it was asked")

@ask("MINE6", apart=True)
def test_passes(seatrial_deploy):
    pass
"""
TURNS = """
@ask("MINE1", apart=True)
def test_apart(seatrial_deployment, seatrial_turn):
    wait_for("begun")
    with seatrial_turn():
        assert not Path("disturbed").exists(), "it was asked while another check disturbed it"
        Path("had-its-turn").touch()

@ask("MINE2")
def test_disturbs(request, seatrial_deployment, seatrial_turn):
    turns, until_s = find_session(request.config).trial.turns, time.monotonic() + PATIENCE_S
    Path("disturbed").touch()
    Path("begun").touch()
    with seatrial_turn():
        while not turns.count_waiting("inprocess") and time.monotonic() < until_s:
            time.sleep(0.01)
        time.sleep(0.3)
    Path("disturbed").unlink()

@ask("MINE3")
def test_next(seatrial_deployment):
    assert Path("had-its-turn").exists(), "who waits for a turn gets it before the next check"
"""
MEASURED = """
from seatrial.errors import HarnessError
from seatrial.load.host_lock import HostLock

disturb = HostLock.disturb

def refuse(self, *arguments):
    if threading.current_thread().name == "apart":
        raise HarnessError("another trial has this machine")
    return disturb(self, *arguments)

HostLock.disturb = refuse

@ask("MINE1", apart=True)
def test_apart(seatrial_deploy):
    pass

@ask("MINE2")
def test_main(seatrial_deployment):
    pass
"""
FIRST_FAILURE = """
@ask("MINE1", apart=True)
def test_apart(seatrial_deploy):
    wait_for("main")
    raise AssertionError("it does not hold")

@ask("MINE2")
def test_main(request, seatrial_deployment):
    Path("main").touch()
    apart, until_s = request.config.pluginmanager.get_plugin("seatrial-session-apart"), time.monotonic() + PATIENCE_S
    while not all(each.has_ended for each in apart._under_way) and time.monotonic() < until_s:
        time.sleep(0.01)

@ask("MINE3")
def test_next(seatrial_deployment):
    Path("asked").touch()
"""
ENDLESS = """
@ask("MINE1", apart=True)
def test_never_ends(seatrial_deploy, seatrial_model):
    with seatrial_deploy(seatrial_model):
        Path("deployed").touch()
        time.sleep(600)

@ask("MINE3", apart=True)
def test_waits_for_the_lane(seatrial_deployment, seatrial_deploy, tmp_path):
    Path("begun").touch()
    assert seatrial_deployment.endpoint.address.startswith("unix:///"), "it is told of all the same"

@ask("MINE4", apart=True)
def test_waits_too(seatrial_deploy, tmp_path):
    Path("begun").touch()

@ask("MINE2")
def test_main(seatrial_deployment):
    wait_for("deployed")
    raise KeyboardInterrupt
"""

INTERRUPTED_WAIT = """
import os
import signal

@pytest.fixture(scope="session")
def slow():
    yield
    time.sleep(1.0)

@ask("MINE1", apart=True)
def test_apart(seatrial_deployment):
    wait_for("main")
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    raise AssertionError("what it asked was taken down")

@ask("MINE2")
def test_main(seatrial_deployment, slow):
    Path("main").touch()
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_two_are_asked_at_the_same_time(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text, checks, leftovers = run_trial(tmp_path, AT_ONCE, *workers)

    assert "2 passed" in text
    assert {check.id: check.status for check in checks.values()} == {"MINE1": "pass", "MINE2": "pass"}
    assert checks["MINE1"].facts["thread"] == "MainThread"
    assert checks["MINE2"].facts["thread"] == "apart"
    assert checks["MINE2"].facts["model"] == "nonce"
    assert not leftovers


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_outcomes_are_told_as_any_other(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text, checks, _ = run_trial(tmp_path, OUTCOMES, *workers, code=1)

    assert {name: check.status for name, check in checks.items()} == {
        "MINE1": "fail",
        "MINE2": "error",
        "MINE3": "unsupported",
        "MINE4": "unsupported",
        "MINE5": "unsupported",
        "MINE6": "pass",
    }
    assert checks["MINE1"].message.startswith("it does not hold\nthe last lines of its log:")
    assert "2 failed, 1 passed, 3 skipped" in text
    (junit,) = tmp_path.glob("seatrial-results/*/junit.xml")
    assert "it does not hold" in junit.read_text()


def test_a_shared_deployment_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, TURNS)

    assert [check.status for check in checks.values()] == ["pass"] * 3, checks
    assert checks["MINE1"].facts["waited_for_turn_s"] > 0.1


def test_who_is_interrupted_while_it_waits_tells_nothing_of_what_fails_by_that(tmp_path: Path) -> None:
    _, checks, leftovers = run_trial(tmp_path, INTERRUPTED_WAIT, code=2)

    assert {name: check.status for name, check in checks.items()} == {"MINE2": "pass"}
    assert not leftovers


def test_a_machine_that_is_measured_for_too_long_is_an_error_of_that_check_alone(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, MEASURED, code=1)

    assert {name: check.status for name, check in checks.items()} == {"MINE1": "error", "MINE2": "pass"}
    assert "another trial has this machine" in checks["MINE1"].message


def test_after_the_first_failure_nothing_more_is_asked(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, FIRST_FAILURE, "-x", code=1)

    assert {name: check.status for name, check in checks.items()} == {"MINE1": "fail", "MINE2": "pass"}
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("ending", "arguments", "code"),
    [
        ("KeyboardInterrupt", (), 2),
        ("AssertionError('mine')", ("-x",), 1),
        ("AssertionError('mine')", ("-x", "-n", "1"), 2),
    ],
    ids=["interrupted", "first-failure", "first-failure-xdist"],
)
def test_whoever_breaks_off_does_not_wait_and_nothing_is_left(
    tmp_path: Path, ending: str, arguments: tuple[str, ...], code: int
) -> None:
    _, checks, leftovers = run_trial(tmp_path, ENDLESS.replace("KeyboardInterrupt", ending), *arguments, code=code)

    assert checks.keys() == ({"MINE2"} if "-x" in arguments else set())
    assert not (tmp_path / "begun").exists()
    assert not leftovers
