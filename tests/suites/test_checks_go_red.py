"""Every check of the suites goes red on a deployment that is wrong in its way, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.records import CheckRecord

HERE = Path(__file__).parent
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
    "ready-too-soon": ("L07", "failed before the kill or after the return"),
    "stopped-by-force": ("L03", "it had to be killed after"),
    "stops-nothing": ("L03", "stopped, and not restarted, it still answers"),
    "uses-nothing": ("O03", "CPU time stayed at 1.0 s"),
    "limits-otherwise": ("O04", "2147483648 bytes, 1073741824 were asked for"),
    "dies-with-store": ("F04", "down after the start: 16 of 16 golden cases"),
    "starts-without-store": ("F04", "down at the start: it says that it is ready"),
    "runs-as-root": ("X04", "its first process is root's"),
    "gives-twice": ("L05", "model: made under a name that is taken: it was done"),
    "loses-the-first": ("L05", "asked when its name was wanted: the next question has no answer"),
    "drops-used": ("L05", "asked when it was to be deleted in use: the next question has no answer"),
    "leaves-running": ("L05", "asked after it was deleted: it answers"),
    "drops-nothing": ("L05", "server: deleted again: it was done"),
}
_DEAD = {"B03", "C03", "N03", "N04", "N05"}
# What is no JSON is asked in several ways, and what is broken by it, or never came back, has no right answer later.
ALSO = {
    "off-by-one": {"R02"},  # An answer that is wrong is not that of the other targets either.
    "hangs": {"R04", "R04a"},
    "crosses": {"N03", "N05"},
    "swallows": {"B02"},
    "dies-of-it": {"B02", "B06", *_DEAD},
    "forgets": {"B02", "B06", *_DEAD},
    "reorders": {"R04"},
    "restarts-nothing": _DEAD,
}
CLAIMED = {"runs-as-nobody": "X04", "has-store": "F04", "has-names": "L05"}
RIGHT = ("right", "heals-unseen", "nameless-unclaimed")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, CheckRecord]]:
    """One trial over all specimens: the checks of each, by id."""
    directory = tmp_path_factory.mktemp("specimens")
    names = ",".join([*RIGHT, *CLAIMED, *WRONG])
    chosen = ["--target", names, "--seatrial-profile", "standard", "--seatrial-suite", "conformance"]
    wrong = ["-p", "wrong_targets", "--pyargs", "seatrial_suites"]
    done = run_pytest(directory, *wrong, *chosen, paths=[HERE], timeout_s=400)
    assert done.returncode == 1, done.stdout + done.stderr
    run = read_run(directory)
    assert run.leftovers == ()
    return {name: {check.id: check for check in result.checks} for name, result in run.targets.items()}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_red_and_nothing_else_is(asked: dict[str, dict[str, CheckRecord]], name: str) -> None:
    ids, words = WRONG[name]
    statuses = {check.id: check.status for check in asked[name].values()}
    expected = {*ids.split(), *ALSO.get(name, ())}
    assert {each: status for each, status in statuses.items() if status not in QUIET} == dict.fromkeys(expected, "fail")
    assert any(words in asked[name][each].message for each in ids.split())


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_green(asked: dict[str, dict[str, CheckRecord]], name: str) -> None:
    assert {check.id: check.message for check in asked[name].values() if check.status not in QUIET} == {}


def test_every_check_that_goes_red_passes_on_something_right(asked: dict[str, dict[str, CheckRecord]]) -> None:
    passed = {check.id for name in (*RIGHT, *CLAIMED) for check in asked[name].values() if check.status == "pass"}
    assert {each for ids, _ in WRONG.values() for each in ids.split()} <= passed


def test_what_answers_otherwise_than_the_others_is_told_by_its_cases(asked: dict[str, dict[str, CheckRecord]]) -> None:
    wrong, left = asked["off-by-one"]["R02"], asked["hangs"]["R02"]
    assert (wrong.status, wrong.facts["compared_with"], wrong.facts["different"]) == ("fail", "right", 1)
    assert "1 of 16 golden cases are answered otherwise than right answers them:\ncase-004: " in wrong.message
    assert (left.status, left.facts["cases"] < 16) == ("pass", True)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_answers_that_are_right_by_their_tolerance_and_not_the_same_are_red(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """Each is nearer to its golden answer than the tolerance, on another side: only who compares the targets sees it."""
    targets = "leans-up,leans-nowhere,leans-down"
    asked = ["--pyargs", "seatrial_suites.conformance.test_correctness", "--target", targets]

    done = run_pytest(tmp_path, "-p", "wrong_targets", *workers, *asked, paths=[HERE], model="digits", timeout_s=400)

    assert done.returncode == 1, done.stdout + done.stderr
    run = read_run(tmp_path)
    checks = {name: {check.id: check for check in result.checks} for name, result in run.targets.items()}
    assert {name: each["R01"].status for name, each in checks.items()} == dict.fromkeys(targets.split(","), "pass")
    found = {name: each["R02"] for name, each in checks.items()}
    assert {name: check.status for name, check in found.items()} == {
        "leans-up": "pass",
        "leans-nowhere": "pass",
        "leans-down": "fail",
    }
    facts = found["leans-up"].facts
    assert facts["worst_pair"] == "leans-up and leans-down"
    assert facts["worst_relative_difference"] == pytest.approx(1.4e-7, rel=0.01)
    assert found["leans-down"].reproduce == "seatrial run --target leans-up,leans-down"
    assert (run.verdict, run.exit_code) == ("fail", 1)
    assert run.causes == ("leans-down: R02 the same answers on every target: fail",)


@pytest.mark.parametrize("name", CLAIMED)
def test_what_is_right_in_what_it_alone_claims_is_green(asked: dict[str, dict[str, CheckRecord]], name: str) -> None:
    statuses = {check.id: check.status for check in asked[name].values()}
    assert statuses[CLAIMED[name]] == "pass"
    assert set(statuses.values()) <= QUIET, statuses


def test_a_recovery_that_no_question_noticed_is_told_from_one_that_was_seen(
    asked: dict[str, dict[str, CheckRecord]],
) -> None:
    unseen, seen = asked["heals-unseen"]["L07"].facts, asked["right"]["L07"].facts
    assert (unseen["outage_seen"], unseen["healed_by_itself"]) == (False, True)
    assert (seen["outage_seen"], seen["healed_by_itself"]) == (True, False)
    assert 0 < seen["recovery_s"] < 60
    assert "recovery_s" not in unseen
