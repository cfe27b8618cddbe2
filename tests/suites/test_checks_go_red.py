"""Every check of the suites goes red on a deployment that is wrong in its way, and on nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seatrial.records import CheckRecord, decode_run

QUIET = {"pass", "unsupported"}
WRONG = {
    "off-by-one": ("R01", "case-004: output answer: 1 of 1 elements wrong"),
    "drops": ("R01", "case-004: no answer: ConnectionResetError"),
    "hangs": ("R01", "not asked, for 3 questions in a row had no answer in time"),
    "crosses": ("N01", "; it is the answer of case-"),
    "swallows": ("B01", "a bare word:"),
    "dies-of-it": ("B01", "that is: no answer"),
    "forgets": ("B01", "the next question is answered wrong"),
    "reorders": ("R03", "a batch of 16 rows: output answer"),
    "updates-nothing": ("R06", "16 of 16 golden cases of nonce 2 are not answered right"),
    "nameless": ("R06", "the answer says version ''"),
    "kills-nothing": ("L07", "killed, and not restarted, it still answers"),
    "heals-nothing": ("L07", "killed, it answered all the time, and its log shows no other start"),
    "restarts-nothing": ("L07", "16 of 16 golden cases of nonce 1 are not answered right"),
    "stopped-by-force": ("L03", "it had to be killed after"),
    "stops-nothing": ("L03", "stopped, and not restarted, it still answers"),
    "uses-nothing": ("O03", "CPU time stayed at 1.0 s"),
    "limits-otherwise": ("O04", "2147483648 bytes, 1073741824 were asked for"),
}
# What is no JSON is asked in several ways, and what is broken by it, or never came back, has no right answer later.
ALSO = {
    "hangs": {"R04", "R04a"},
    "swallows": {"B02"},
    "dies-of-it": {"B02", "B03", "B06"},
    "forgets": {"B02", "B03", "B06"},
    "reorders": {"R04"},
    "restarts-nothing": {"B02", "B03", "B06"},
}
RIGHT = ("right", "heals-unseen", "nameless-unclaimed")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, CheckRecord]]:
    """One trial over all specimens: the checks of each, by id."""
    directory = tmp_path_factory.mktemp("specimens")
    names = ",".join([*RIGHT, *WRONG])
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "wrong_targets"]
    env = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    env |= {"SEATRIAL_MODEL": "nonce", "SEATRIAL_STATE_DIR": str(directory / "state")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), env.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [
            *argv,
            "--pyargs",
            "seatrial_suites",
            "--target",
            names,
            "--seatrial-profile",
            "standard",
            "--seatrial-suite",
            "conformance",
        ],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (path,) = (directory / "seatrial-results").glob("*/run.json")
    run: Any = decode_run(path.read_bytes())
    assert run.leftovers == ()
    return {name: {check.id: check for check in result.checks} for name, result in run.targets.items()}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_red_and_nothing_else_is(asked: dict[str, dict[str, CheckRecord]], name: str) -> None:
    check_id, words = WRONG[name]
    statuses = {check.id: check.status for check in asked[name].values()}
    expected = {check_id, *ALSO.get(name, ())}
    assert {each: status for each, status in statuses.items() if status not in QUIET} == dict.fromkeys(expected, "fail")
    assert words in asked[name][check_id].message


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_green(asked: dict[str, dict[str, CheckRecord]], name: str) -> None:
    assert {check.id: check.message for check in asked[name].values() if check.status not in QUIET} == {}
    passed = {check.id for check in asked[name].values() if check.status == "pass"}
    assert {check_id for check_id, _ in WRONG.values()} <= passed


def test_a_recovery_that_no_question_noticed_is_told_from_one_that_was_seen(
    asked: dict[str, dict[str, CheckRecord]],
) -> None:
    unseen, seen = asked["heals-unseen"]["L07"].facts, asked["right"]["L07"].facts
    assert (unseen["outage_seen"], unseen["healed_by_itself"]) == (False, True)
    assert (seen["outage_seen"], seen["healed_by_itself"]) == (True, False)
    assert 0 < seen["recovery_s"] < 60
    assert "recovery_s" not in unseen
