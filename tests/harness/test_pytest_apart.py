"""Checks that are asked apart: at the same time as others of their target, and told like any other. Sessions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

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
IN_TURN = """
@pytest.fixture
def mine():
    yield "mine"

@ask("MINE1", apart=True)
def test_with_a_fixture(seatrial_deployment, seatrial_facts, mine):
    seatrial_facts["thread"] = threading.current_thread().name

@pytest.mark.xfail(reason="known")
@ask("MINE2", apart=True)
def test_with_a_mark(seatrial_deployment, seatrial_facts):
    seatrial_facts["thread"] = threading.current_thread().name
    raise AssertionError("as known")

@ask("MINE4", apart=True)
def test_that_may_ask_for_fixtures(request, seatrial_deployment, seatrial_facts):
    seatrial_facts["thread"] = threading.current_thread().name

@pytest.mark.filterwarnings("ignore")
@ask("MINE5", apart=True)
def test_with_filters(seatrial_deployment, seatrial_facts):
    seatrial_facts["thread"] = threading.current_thread().name

@ask("MINE3", apart=True)
def test_plain(seatrial_deployment, seatrial_facts):
    seatrial_facts["thread"] = threading.current_thread().name
"""
NOT_APART = """
@ask("MINE1", apart=True)
def test_of_no_target():
    raise AssertionError("it was asked")

@ask("MINE2", apart=True)
async def test_of_another_kind(seatrial_deploy):
    pass

@ask("MINE3")
def test_main(seatrial_deployment):
    pass
"""
DEFAULTS = """
@ask("MINE1", apart=True)
def test_apart(seatrial_deploy, seatrial_facts, more=3):
    seatrial_facts["more"] = more
"""
OVERRIDDEN = """
@pytest.fixture
def seatrial_facts(seatrial_facts):
    Path("there").touch()
    yield seatrial_facts
    Path("there").unlink()

@ask("MINE1", apart=True)
def test_apart(seatrial_deploy, seatrial_facts):
    assert Path("there").exists(), "what its fixture takes away is gone"
    seatrial_facts["thread"] = threading.current_thread().name
"""
WIRES = """
from seatrial.pytest_session import TrialSession

TrialSession.tell_wire = lambda self, name: ""  # as of a target whose deployment tells

@ask("MINE1", apart=True, wires={"sagemaker"})
def test_apart(seatrial_deployment, seatrial_deploy):
    raise AssertionError("it was asked")

@ask("MINE2")
def test_main(seatrial_deployment):
    pass
"""
TIMED = """
@ask("MINE1", apart=True)
def test_apart(seatrial_deployment, seatrial_facts):
    seatrial_facts["thread"] = threading.current_thread().name

@pytest.mark.timeout(100)
@ask("MINE2")
def test_last(seatrial_deployment):
    pass
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


def run_trial(
    directory: Path, asks: str, *arguments: str, code: int = 0
) -> tuple[str, dict[str, CheckRecord], Sequence[Any]]:
    (directory / "test_asks.py").write_text(HEAD + asks)
    done = run_pytest(directory, "--target", "inprocess", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    run = read_run(directory)
    return done.stdout, {check.id: check for check in run.targets["inprocess"].checks}, run.leftovers


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_two_are_asked_at_the_same_time(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text, checks, leftovers = run_trial(tmp_path, AT_ONCE, *workers)

    assert "2 passed" in text
    assert {check.id: check.status for check in checks.values()} == {"MINE1": "pass", "MINE2": "pass"}
    assert checks["MINE1"].facts["thread"] == "MainThread"
    assert checks["MINE2"].facts["thread"] == "apart"
    assert checks["MINE2"].facts["model"] == "nonce"
    assert not leftovers


def test_one_after_another_when_told_so(tmp_path: Path) -> None:
    (tmp_path / "main").touch()
    (tmp_path / "apart").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial]\nserial = true\n")

    _, checks, _ = run_trial(tmp_path, AT_ONCE)

    assert checks["MINE2"].facts["thread"] == "MainThread"


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


def test_what_others_have_a_say_in_is_asked_in_its_turn(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, IN_TURN)

    for name in ("MINE1", "MINE2", "MINE4", "MINE5"):
        assert checks[name].facts["thread"] == "MainThread"
    assert checks["MINE2"].status == "expected-failure"
    assert checks["MINE3"].facts["thread"] == "apart"


def test_what_cannot_be_asked_apart_is_asked_as_ever(tmp_path: Path) -> None:
    text, checks, _ = run_trial(tmp_path, NOT_APART, code=1)

    assert "2 failed, 1 passed" in text
    assert "it was asked" in text
    assert "async def functions are not natively supported" in text
    assert checks["MINE3"].status == "pass"


def test_who_is_interrupted_while_it_waits_tells_nothing_of_what_fails_by_that(tmp_path: Path) -> None:
    _, checks, leftovers = run_trial(tmp_path, INTERRUPTED_WAIT, code=2)

    assert {name: check.status for name, check in checks.items()} == {"MINE2": "pass"}
    assert not leftovers


def test_a_parameter_with_a_default_keeps_it(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, DEFAULTS)

    assert checks["MINE1"].facts["more"] == 3


def test_a_fixture_in_the_place_of_one_of_ours_is_torn_down_after_the_call(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, OVERRIDDEN)

    assert checks["MINE1"].status == "pass"
    assert checks["MINE1"].facts["thread"] == "MainThread"


def test_who_has_a_limit_of_time_is_asked_in_its_turn(tmp_path: Path) -> None:
    (tmp_path / "main").touch()
    (tmp_path / "apart").touch()

    _, checks, _ = run_trial(tmp_path, AT_ONCE, "--timeout", "100")

    assert checks["MINE2"].facts["thread"] == "MainThread"


def test_nobody_is_waited_for_in_a_test_that_has_a_limit_of_time(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, TIMED)

    assert checks["MINE1"].facts["thread"] == "MainThread"


def test_what_a_wire_has_nothing_for_is_not_asked(tmp_path: Path) -> None:
    _, checks, _ = run_trial(tmp_path, WIRES)

    assert checks["MINE1"].status == "unsupported"
    assert "is asked over" in checks["MINE1"].message


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
