"""A failure tells what the deployment wrote last: real deployments in sessions of their own, and what is shown of a log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.endpoint import Endpoint
from seatrial.failure_log import HEADING, MOST_LINE_CHARS, MOST_LINES, tell_log
from seatrial.records import CheckRecord
from seatrial.target import Deployment

PLUGIN = """
import dataclasses
from seatrial import registry
from seatrial_fixtures.targets.inprocess import InProcessTarget

class NoisyTarget(InProcessTarget):
    name = "noisy"

    def deploy(self, model, context):
        deployment = super().deploy(model, context)
        deployment.endpoint = dataclasses.replace(deployment.endpoint, headers={"X-Mine": "very-secret-word"})
        return deployment

class MuteTarget(InProcessTarget):
    name = "mute"

    def deploy(self, model, context):
        deployment = super().deploy(model, context)
        def read_logs(lines=200):
            raise OSError("the disk is gone\\nand more")
        deployment.read_logs = read_logs
        return deployment

registry.add(registry.TARGETS_GROUP, "noisy", lambda: NoisyTarget)
registry.add(registry.TARGETS_GROUP, "mute", lambda: MuteTarget)
"""
ASKS = """
from pathlib import Path

import pytest

@pytest.fixture(autouse=True)
def noise(request, seatrial_deployment):
    (path,) = Path("seatrial-results").glob("*/logs/inprocess.log")
    with path.open("a") as log:
        log.writelines(f"line {number} of {request.node.originalname} very-secret-word\\n" for number in range(30))

def test_holds(noise):
    pass

def test_fails(noise):
    raise AssertionError("it does not hold")

def test_breaks(noise):
    raise KeyError("broken")

def test_known(noise):
    raise AssertionError("as listed")

def test_unsupported(noise):
    pytest.skip("not claimed")

def test_beside(noise, seatrial_deploy, seatrial_model):
    with seatrial_deploy(seatrial_model):
        (path,) = Path("seatrial-results").glob("*/logs/seatrial-*/inprocess.log")
        path.write_text("a line of the other very-secret-word\\n")
        raise AssertionError("the other does not hold")
"""
KNOWN = """
[[tool.seatrial.expect.TARGET]]
check = "test_known"
reason = "it is known"
link = "https://example.org/1"
package = "pytest"
versions = ">=1"
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_failure_tells_the_last_lines_and_nothing_else_does(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text, checks = run_trial(tmp_path, "noisy", *workers, "--seatrial-seed", "7")

    told = {name: check.message for name, check in checks.items() if HEADING in check.message}
    assert set(told) == {"test_fails", "test_breaks", "test_beside"}
    assert checks["test_fails"].message.startswith(f"it does not hold\n{HEADING}\n")
    del told["test_beside"]
    for name, message in told.items():
        lines = message.partition(f"{HEADING}\n")[2].splitlines()
        assert lines == [f"  line {number} of {name} ***" for number in range(30 - MOST_LINES, 30)]
    assert {name: check.status for name, check in checks.items()} == {
        "test_holds": "pass",
        "test_fails": "fail",
        "test_breaks": "error",
        "test_known": "expected-failure",
        "test_unsupported": "unsupported",
        "test_beside": "fail",
    }
    assert "  line 29 of test_fails ***" in text
    assert "again: pytest test_asks.py -k test_fails --target noisy --seatrial-seed 7" in text
    (directory,) = (tmp_path / "seatrial-results").iterdir()
    for report in ("report.html", "junit.xml"):
        assert "line 29 of test_fails ***" in (directory / report).read_text()
        assert "very-secret-word" not in (directory / report).read_text()


def test_what_fails_of_a_deployment_beside_tells_the_log_of_that_one(tmp_path: Path) -> None:
    _, checks = run_trial(tmp_path, "noisy")

    assert checks["test_beside"].status == "fail"
    assert checks["test_beside"].message == f"the other does not hold\n{HEADING}\n  a line of the other ***"


def test_a_log_that_cannot_be_read_changes_no_verdict(tmp_path: Path) -> None:
    text, checks = run_trial(tmp_path, "mute")

    assert (checks["test_fails"].status, checks["test_holds"].status) == ("fail", "pass")
    assert checks["test_fails"].message == "it does not hold\nits log cannot be read: the disk is gone"
    assert "--seatrial-seed" not in text, "the default needs no naming"


def run_trial(directory: Path, target: str, *arguments: str) -> tuple[str, dict[str, CheckRecord]]:
    (directory / "log_plugin.py").write_text(PLUGIN)
    (directory / "test_asks.py").write_text(ASKS)
    (directory / "pyproject.toml").write_text(KNOWN.replace("TARGET", target))
    done = run_pytest(directory, "-p", "log_plugin", "--target", target, *arguments, paths=[directory])
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout, {check.id: check for check in read_run(directory).targets[target].checks}


@dataclass
class Wrote:
    """All of a deployment that is asked."""

    text: str
    endpoint: Endpoint

    def read_logs(self, lines: int = 200) -> str:
        # More than it was asked for.
        return self.text


def tell(text: str, **changes: Any) -> str:
    endpoint = Endpoint(address="http://127.0.0.1:1", wire="v2", path="loopback", **changes)
    return tell_log(cast("Deployment", Wrote(text, endpoint)), claims_logs=False)


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_nothing_is_told_of_an_empty_log(text: str) -> None:
    assert tell(text) == ""


def test_what_is_shown_is_bounded_and_printable() -> None:
    lines = tell("first\n" + "\x1b[31m" + "x" * 10_000 + "\n" + "last\n" * 30).splitlines()

    assert lines == [HEADING, *["  last"] * MOST_LINES]
    (long,) = tell("\x1b[31m" + "x" * 10_000).splitlines()[1:]
    assert len(long) == MOST_LINE_CHARS + 2
    assert long.startswith("  \\x1b[31mxxx")
    assert long.endswith("x…")


def test_secrets_are_masked_before_a_line_is_cut() -> None:
    text = "x" * (MOST_LINE_CHARS - 5) + "very-secret-word\nAuthorization: Basic dXNlcg==\ngot very-secret-word"

    told = tell(text, headers={"X-Mine": "very-secret-word"})

    assert "very" not in told
    assert told.splitlines()[2:] == ["  Authorization: ***", "  got ***"]
