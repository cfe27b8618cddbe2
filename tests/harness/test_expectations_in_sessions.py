"""Entries of expected failures through whole pytest sessions: a target with a file of its own, and a user's pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.records import CheckRecord, RunResult

PLUGIN = """
from seatrial import registry
from seatrial_fixtures.targets.inprocess import InProcessTarget

class BrokenTarget(InProcessTarget):
    name = "broken"

    def deploy(self, model, context):
        deployment = super().deploy(model, context)
        deployment.versions = {"broken-server": "1.5"}
        return deployment

registry.add(registry.TARGETS_GROUP, "broken", lambda: BrokenTarget)
"""
ASKS = """
import pytest
from seatrial.checks import Findings, InvalidMeasurementError, check

@check("Y01", "cases", sentence="Each case holds.", source="a specification")
def test_cases(seatrial_deployment, seatrial_facts):
    findings = Findings()
    for case in ("bare", "deep", "huge"):
        findings.judge(case, "status 500" if case in {wrong} else "")
    findings.conclude(seatrial_facts)

def test_whole(seatrial_deployment):
    assert {whole}, "status 500"

def test_holds(seatrial_deployment):
    pass
"""
BREAKS = """
import pytest
from seatrial.checks import InvalidMeasurementError, UnsupportedError

def test_error(seatrial_deployment):
    raise KeyError("a bug of the harness")

def test_invalid(seatrial_deployment):
    raise InvalidMeasurementError("the machine was busy")

def test_unsupported(seatrial_deployment):
    pytest.skip("not claimed")
"""


def write_project(
    directory: Path, shipped: str = "", user: str = "", *, wrong: tuple[str, ...] = (), whole: bool = True
) -> None:
    (directory / "broken_plugin.py").write_text(PLUGIN)
    (directory / "test_asks.py").write_text(ASKS.replace("{wrong}", repr(wrong)).replace("{whole}", repr(whole)))
    (directory / "broken.expectations.toml").write_text(shipped)
    (directory / "pyproject.toml").write_text(user)


def entry(check: str, table: str = "expect", **changes: Any) -> str:
    keys = {
        "check": check,
        "reason": f"{check} is broken",
        "link": "https://example.org/1",
        "package": "broken-server",
        "versions": ">=1.4,<1.6",
        **changes,
    }
    lines = [f"{key} = {value!r}" for key, value in keys.items()]
    return "\n".join([f"[[{table}]]", *lines, ""])


def ask_broken(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(directory, "-p", "broken_plugin", "-ra", "--target", "broken", *arguments, paths=[directory])


def read_trial(directory: Path) -> tuple[RunResult, dict[str, CheckRecord]]:
    run = read_run(directory)
    return run, {check.id: check for check in run.targets["broken"].checks}


def read_report(directory: Path, name: str) -> str:
    (path,) = (directory / "seatrial-results").glob(f"*/{name}")
    return path.read_text()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_is_listed_leaves_the_run_green(tmp_path: Path, workers: tuple[str, ...]) -> None:
    shipped = entry("Y01", cases=["bare", "deep"])
    user = entry("test_whole", "tool.seatrial.expect.broken", reason="a fault of ours")
    write_project(tmp_path, shipped, user, wrong=("bare", "deep"), whole=False)

    done = ask_broken(tmp_path, *workers)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"1 passed, 2 xfailed", done.stdout)
    run, checks = read_trial(tmp_path)
    assert (run.verdict, run.exit_code, run.targets["broken"].status) == ("pass", 0, "pass")
    statuses = {name: check.status for name, check in checks.items()}
    assert statuses == {"Y01": "expected-failure", "test_whole": "expected-failure", "test_holds": "pass"}
    assert checks["Y01"].facts == {"cases": 3, "wrong": 2, "wrong_cases": ["bare", "deep"]}
    assert f"{tmp_path / 'broken.expectations.toml'}, entry 1 (Y01)" in checks["Y01"].message
    assert "XFAIL test_asks.py::test_whole[broken] - expected: a fault of ours (https://example.org/1" in done.stdout
    assert "1/3 ≈2" in done.stdout
    assert "broken Y01 cases: ≈ expected-failure: expected of bare, deep: Y01 is broken" in done.stdout
    assert run.targets["broken"].deployments[0].versions == {"broken-server": "1.5"}


def test_reports_show_reason_and_link(tmp_path: Path) -> None:
    write_project(tmp_path, entry("Y01", cases=["bare"]), wrong=("bare",))

    done = ask_broken(tmp_path, "--junitxml", str(tmp_path / "pytest.xml"))

    assert done.returncode == 0, done.stdout + done.stderr
    (skipped,) = ET.fromstring(read_report(tmp_path, "junit.xml")).iter("skipped")
    markdown, page = read_report(tmp_path, "report.md"), read_report(tmp_path, "report.html")
    (of_pytest,) = ET.parse(tmp_path / "pytest.xml").getroot().iter("skipped")
    for text in (skipped.get("message"), of_pytest.get("message"), markdown, page):
        assert "Y01 is broken" in str(text)
        assert "https://example.org/1" in str(text)
    assert "≈ expected-failure: **broken** Y01 cases" in markdown
    assert "≈" in page


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_is_not_listed_is_red(tmp_path: Path, workers: tuple[str, ...]) -> None:
    write_project(tmp_path, entry("Y01", cases=["bare"]), wrong=("bare", "huge"), whole=False)

    done = ask_broken(tmp_path, *workers)

    assert done.returncode == 1, done.stdout + done.stderr
    run, checks = read_trial(tmp_path)
    assert (run.verdict, run.exit_code) == ("fail", 1)
    assert {name: check.status for name, check in checks.items()} == {
        "Y01": "fail",
        "test_whole": "fail",
        "test_holds": "pass",
    }
    expected, head, new, *_ = checks["Y01"].message.splitlines()
    assert expected.startswith("expected of bare: Y01 is broken")
    assert (head, new) == ("not expected, 1 of 2 cases that do not hold:", "huge: status 500")
    assert "- expected failures -" in done.stdout  # a section of pytest's own report of the test
    assert "2 failed, 1 passed" in done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_is_mended_is_red(tmp_path: Path, workers: tuple[str, ...]) -> None:
    shipped = entry("Y01", cases=["bare", "deep"]) + entry("test_whole")
    write_project(tmp_path, shipped, wrong=("bare",))

    done = ask_broken(tmp_path, *workers)

    assert done.returncode == 1, done.stdout + done.stderr
    run, checks = read_trial(tmp_path)
    assert (run.verdict, run.exit_code) == ("fail", 1)
    file = tmp_path / "broken.expectations.toml"
    whole = f"test_whole was expected to fail, and holds: take out the entry in {file}, entry 2 (test_whole)"
    case = f"Y01, case 'deep', was expected to fail, and holds: take out the case in {file}, entry 1 (Y01)"
    assert checks["test_whole"].message == whole
    assert checks["Y01"].message.splitlines()[0] == case
    assert whole in done.stdout
    assert case in done.stdout
    assert "2 failed, 1 passed" in done.stdout


def test_a_list_that_is_wrong_is_red_where_the_check_may_fail(tmp_path: Path) -> None:
    write_project(tmp_path, entry("Y01", cases=["bare"]))
    asks = (tmp_path / "test_asks.py").read_text()
    (tmp_path / "test_asks.py").write_text(asks.replace('"cases", sentence', '"cases", level="MAY", sentence'))

    done = ask_broken(tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    run, checks = read_trial(tmp_path)
    assert (run.verdict, run.exit_code, checks["Y01"].status) == ("fail", 1, "fail")


@pytest.mark.parametrize(
    ("changes", "told", "whole"),
    [
        ({"versions": "<1.5"}, "was seen in broken-server <1.5; this is 1.5, so it is not heard", True),
        (
            {"package": "no-such-server"},
            "was seen in no-such-server <1.6,>=1.4; which version this is, nobody can tell",
            False,
        ),
    ],
    ids=["another version", "unknown package"],
)
def test_outside_its_range_an_entry_is_a_note(tmp_path: Path, changes: dict[str, str], told: str, whole: bool) -> None:
    write_project(tmp_path, entry("test_whole", **changes), whole=whole)

    done = ask_broken(tmp_path)

    assert done.returncode == (0 if whole else 1), done.stdout + done.stderr
    run, checks = read_trial(tmp_path)
    check = checks["test_whole"]
    assert (check.status, check.message.partition("\n")[0]) == (("pass", "") if whole else ("fail", "status 500"))
    assert any(told in note for note in run.targets["broken"].notes)
    assert f"broken test_whole: the entry for test_whole {told}" in done.stdout
    assert told in read_report(tmp_path, "report.html").replace("&lt;", "<").replace("&gt;", ">")


def test_what_says_nothing_of_the_target_is_left_as_it_is(tmp_path: Path) -> None:
    write_project(tmp_path, "".join(entry(f"test_{name}") for name in ("error", "invalid", "unsupported")))
    (tmp_path / "test_asks.py").write_text(BREAKS)

    done = ask_broken(tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    run, checks = read_trial(tmp_path)
    assert {name: check.status for name, check in checks.items()} == {
        "test_error": "error",
        "test_invalid": "invalid",
        "test_unsupported": "unsupported",
    }
    assert (run.verdict, run.exit_code) == ("error", 6)


USAGE = {
    "a bad entry": ("", entry("Y01", "tool.seatrial.expect.broken", versions="soon"), "versions is 'soon', a range"),
    "a bad file": (entry("Y01", reason=""), "", "broken.expectations.toml, entry 1 (Y01): Expected `str` of length"),
    "no such target": ("", entry("Y01", "tool.seatrial.expect.brokn"), "'expect.brokn'. Did you mean 'broken'?"),
    "no such check": ("", entry("X0l", "tool.seatrial.expect.broken"), "no check 'X0l'. Did you mean 'X0"),
    "no such test": (
        "",
        entry("test_hold", "tool.seatrial.expect.broken"),
        "no check 'test_hold'. Did you mean 'test_holds'?",
    ),
}


@pytest.mark.parametrize(
    ("case", "workers"),
    [*((case, ()) for case in USAGE), ("no such check", ("-n", "2")), ("no such test", ("-n", "1"))],
)
def test_a_wrong_entry_ends_the_session_before_anything_is_deployed(
    tmp_path: Path, case: str, workers: tuple[str, ...]
) -> None:
    shipped, user, told = USAGE[case]
    write_project(tmp_path, shipped, user)

    done = ask_broken(tmp_path, *workers)

    late = workers and "check" in told
    assert done.returncode == (1 if late else 4), done.stdout + done.stderr
    assert told in done.stdout + done.stderr
    assert not user or f"{tmp_path / 'pyproject.toml'}" in done.stdout + done.stderr
    assert not list((tmp_path / "seatrial-results").glob("*/logs/*"))


@pytest.mark.parametrize(
    "arguments", [("-k", "holds"), ("test_asks.py::test_holds",)], ids=["deselected", "not collected"]
)
def test_a_part_of_the_tests_needs_no_other_entries(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    user = "".join(entry(check, "tool.seatrial.expect.broken") for check in ("test_whole", "R01"))
    write_project(tmp_path, "", user)

    done = ask_broken(tmp_path, *arguments)

    assert done.returncode == 0, done.stdout + done.stderr
    assert set(read_trial(tmp_path)[1]) == {"test_holds"}


def test_config_shows_a_users_entries(tmp_path: Path) -> None:
    user = entry("R01", "tool.seatrial.expect.mlflow", cases=["bare"])
    (tmp_path / "pyproject.toml").write_text(user)

    argv = [sys.executable, "-m", "seatrial", "config", "--show"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("expect.mlflow")]
    assert "check: R01, reason: R01 is broken, " in line
    assert "cases: (bare)" in line
    assert line.endswith(str(tmp_path / "pyproject.toml"))
