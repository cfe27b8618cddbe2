"""Checks that could be asked apart and are asked in their turn all the same, or not at all. Sessions of their own."""

from __future__ import annotations

from pathlib import Path

from asking_apart import AT_ONCE, run_trial

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


def test_one_after_another_when_told_so(tmp_path: Path) -> None:
    (tmp_path / "main").touch()
    (tmp_path / "apart").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial]\nserial = true\n")

    _, checks, _ = run_trial(tmp_path, AT_ONCE)

    assert checks["MINE2"].facts["thread"] == "MainThread"


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
