"""No trial looks whole that is not: whoever leaves a check out, skips it or puts another in its place, that is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.records import CheckRecord, EnvironmentRecord, PlanRecord, RunResult, decode_run, encode_run
from seatrial.trial.result import gather, judge_target

DROPS = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not item.name.startswith("test_batch")]
"""
MARKS = """
import pytest

@pytest.fixture(scope="session")
def seatrial_model(seatrial_models):
    model = seatrial_models[0]
    model.cases[3].outputs["answer"][...] += 1
    return model

def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("seatrial_check")
        if mark is not None and mark.args[0].id == "R01":
            item.add_marker(pytest.mark.xfail(reason="as always"))
        if mark is not None and mark.args[0].id == "R03":
            item.add_marker(pytest.mark.skip(reason="flaky"))
"""
SKIPS = """
import pytest

@pytest.fixture(autouse=True)
def skipped(request):
    pytest.skip("not today")
"""
LEAVES = """
def pytest_collection_finish(session):
    session.items[:] = [item for item in session.items if "batch" not in item.name]
"""
OWN = """
from seatrial.checks import check

@check({words}, title="mine", sentence="s", source="s")
def test_mine(seatrial_deployment):
    pass
"""
SUITES = ("--pyargs", "seatrial_suites")


def ask_inprocess(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(directory, "--target", "inprocess", *arguments)


@pytest.mark.parametrize(
    ("arguments", "conftest"),
    [
        ((*SUITES, "-k", "not test_batch"), ""),
        (SUITES, DROPS),
        (("--pyargs", "seatrial_suites.conformance.test_correctness", "-k", "golden or holds"), ""),
        ((*SUITES, "-n", "1", "--ignore-glob", "/*test_correctness.py"), ""),
        ((*SUITES, "-p", "leaves_early"), ""),
    ],
    ids=["-k", "a hook", "one module", "not collected", "after collection"],
)
def test_what_is_left_out_is_told(tmp_path: Path, arguments: tuple[str, ...], conftest: str) -> None:
    (tmp_path / "left_out.py").write_text(conftest)
    (tmp_path / "leaves_early.py").write_text(LEAVES)
    (tmp_path / "test_own.py").write_text("def test_holds(seatrial_deployment):\n    pass\n")

    done = ask_inprocess(tmp_path, "-p", "left_out", *arguments, "test_own.py")

    run = read_run(tmp_path)
    assert (done.returncode, run.verdict, run.exit_code) == (0, "partial", 0), done.stdout + done.stderr
    result = run.targets["inprocess"]
    assert "R03" in result.not_asked
    assert {check.id for check in result.checks}.isdisjoint(result.not_asked)
    assert f"inprocess not asked, {len(result.not_asked)} of its checks: " in done.stdout
    assert f"verdict: partial, {len(result.not_asked)} not asked (exit code 0)" in done.stdout


def test_a_skip_that_is_not_ours_and_an_xfail_are_told(tmp_path: Path) -> None:
    """Neither is taken for what the target does not claim."""
    (tmp_path / "conftest.py").write_text(MARKS)

    done = ask_inprocess(tmp_path, "-p", "conftest", *SUITES)

    run = read_run(tmp_path)
    found = {check.id: check for check in run.targets["inprocess"].checks}
    assert (done.returncode, run.verdict) == (0, "partial"), done.stdout + done.stderr
    assert {each: check.status for each, check in found.items()} == {
        "O04": "unsupported",
        "R01": "expected-failure",
        "R03": "not-run",
    }
    assert found["R01"].message.startswith("a mark of pytest's expects it: as always\n")
    assert "case-004: output answer: 1 of 1 elements wrong" in found["R01"].message
    assert found["R03"].message == "Skipped: flaky"


def test_a_fixture_that_skips_leaves_nothing_asked(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(SKIPS)

    done = ask_inprocess(tmp_path, "-p", "conftest", *SUITES)

    run = read_run(tmp_path)
    assert (done.returncode, run.verdict, run.exit_code) == (5, "error", 3), done.stdout + done.stderr
    found = {check.id: check.status for check in run.targets["inprocess"].checks}
    assert found == {"O04": "unsupported", "R01": "not-run", "R03": "not-run"}


@pytest.mark.parametrize(
    ("words", "workers", "told"),
    [
        ('"R01"', (), 'give it an id of its own, and replaces="R01" if it is to be asked in place of R01'),
        ('"R01", replaces="R01"', ("-n", "1"), "test_own.py::test_mine: R01 is a check of seatrial's"),
        ('"R02"', (), "R02 is a check of seatrial's"),
        ('"M01", replaces="R0l"', (), "M01 replaces 'R0l', which is no check of our suites. Did you mean"),
    ],
    ids=["silent", "xdist", "the trial's own", "unknown"],
)
def test_no_check_of_a_users_passes_for_one_of_ours(
    tmp_path: Path, words: str, workers: tuple[str, ...], told: str
) -> None:
    (tmp_path / "test_own.py").write_text(OWN.replace("{words}", words))

    done = ask_inprocess(tmp_path, "test_own.py", *workers)

    assert done.returncode != 0
    assert told in done.stdout + done.stderr
    assert not [*tmp_path.glob("seatrial-results/*/logs/inprocess.log")], "it was deployed"


def test_a_check_in_the_place_of_another_says_so(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(OWN.replace("{words}", '"M01", replaces="R01"'))

    done = ask_inprocess(tmp_path, *SUITES, "test_own.py")

    run = read_run(tmp_path)
    result = run.targets["inprocess"]
    assert (done.returncode, run.verdict, result.not_asked) == (0, "partial", ("R01",)), done.stdout + done.stderr
    assert {check.id: check.status for check in result.checks} == {"O04": "unsupported", "R03": "pass", "M01": "pass"}
    assert "inprocess M01: asked in place of R01, which is not asked" in done.stdout


def make_check(check_id: str) -> CheckRecord:
    return CheckRecord(target="a", id=check_id, title="t", level="MUST", status="pass")


def test_one_of_several_tests_of_a_check_counts() -> None:
    plan = PlanRecord(target="a", checks=("R01", "test_mine", "test_mine"))
    whole = gather([plan, plan, make_check("R01"), make_check("test_mine"), make_check("test_mine")])
    partly = gather([plan, make_check("R01"), make_check("test_mine")])

    assert (judge_target(whole["a"]).status, judge_target(whole["a"]).not_asked) == ("pass", ())
    assert (judge_target(partly["a"]).status, judge_target(partly["a"]).not_asked) == ("partial", ("test_mine",))


def test_a_run_from_before_is_still_read() -> None:
    environment = EnvironmentRecord(seatrial="0.1.0", python="3.13", platform="Linux", cpus=2, memory_bytes=1)
    result = judge_target(gather([make_check("R01")])["a"])
    run = RunResult(
        run_id="1",
        started_at="",
        duration_s=1.0,
        verdict="pass",
        exit_code=0,
        environment=environment,
        targets={"a": result},
    )
    before = json.loads(encode_run(run))
    del before["targets"]["a"]["not_asked"]

    assert decode_run(json.dumps(before).encode()) == run
