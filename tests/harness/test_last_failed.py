"""What failed in the last trial is asked again, what is not is told: by pytest's own `--lf`, and by `seatrial run`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_sessions import make_environ, run
from seatrial.cli.last_failed import find_last, list_failed
from seatrial.records import CheckRecord, PlanRecord, RunResult, decode_run
from seatrial.trial.directory import TrialDirectory, encode_record

SPECIMENS = Path(__file__).parents[1] / "suites"
PLUGIN = """
from pathlib import Path
from seatrial import registry
from wrong_targets import RightDeployment
from seatrial_fixtures.targets.inprocess import InProcessTarget

class FickleTarget(InProcessTarget):
    name = "fickle"

    def deploy(self, model, context):
        return RightDeployment(model, context, "off-by-one" if Path("broken").exists() else "right")

registry.add(registry.TARGETS_GROUP, "fickle", lambda: FickleTarget)
"""
TARGETS = ("--target", "fickle,inprocess")
PYTEST = ("-m", "pytest", "-p", "no:randomly", "-p", "fickle_plugin", "--pyargs", "seatrial_suites")
RUN = ("-c", "import fickle_plugin; from seatrial.cli import main; main()", "run", "--model", "nonce")


def run_trial(directory: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], RunResult]:
    (directory / "fickle_plugin.py").write_text(PLUGIN)
    environ = make_environ(directory, paths=[directory, SPECIMENS])
    before = set(directory.glob("seatrial-results/*"))
    done = run(directory, *arguments, *TARGETS, timeout_s=170, environ=environ)
    (new,) = {*directory.glob("seatrial-results/*")} - before
    return done, decode_run((new / "run.json").read_bytes())


def list_asked(run: RunResult) -> dict[str, dict[str, str]]:
    return {name: {check.id: check.status for check in result.checks} for name, result in run.targets.items()}


@pytest.mark.parametrize(
    ("how", "again"),
    [(PYTEST, "--lf"), ((*PYTEST, "-n", "2"), "--lf"), (RUN, "--last-failed")],
    ids=["pytest", "xdist", "seatrial"],
)
def test_only_what_failed_is_asked_again(tmp_path: Path, how: tuple[str, ...], again: str) -> None:
    (tmp_path / "broken").touch()
    first, everything = run_trial(tmp_path, *how)
    still, failed = run_trial(tmp_path, *how, again)
    (tmp_path / "broken").unlink()
    mended, partial = run_trial(tmp_path, *how, again)

    assert first.returncode == 1, first.stdout + first.stderr
    planned = list_asked(everything)["inprocess"].keys() - {"R02"}
    assert planned > {"R01", "R03"}
    assert all(result.not_asked == () for result in everything.targets.values())
    assert " not asked" not in first.stdout
    assert (still.returncode, failed.verdict) == (1, "fail"), still.stdout + still.stderr
    assert list_asked(failed) == {"fickle": {"R01": "fail", "R02": "not-run"}, "inprocess": {}}
    assert (mended.returncode, partial.verdict, partial.exit_code) == (0, "partial", 0), mended.stdout + mended.stderr
    assert list_asked(partial) == {"fickle": {"R01": "pass", "R02": "not-run"}, "inprocess": {}}
    assert set(partial.targets["fickle"].not_asked) == planned - {"R01"}
    assert set(partial.targets["inprocess"].not_asked) == planned
    assert {name: result.status for name, result in partial.targets.items()} == {
        "fickle": "partial",
        "inprocess": "not-run",
    }
    assert partial.targets["inprocess"].timeline == (), "it was brought up, though nothing is asked of it"
    count = 2 * len(planned) - 1
    assert f"verdict: partial, {count} not asked (exit code 0)" in mended.stdout
    assert f"inprocess not asked, {len(planned)} of its checks: " in mended.stdout
    (path,) = tmp_path.glob(f"seatrial-results/{partial.run_id}/report.md")
    assert f"**inprocess** {len(planned)} checks: not asked" in path.read_text()
    assert 'name="R01 not asked"' in path.with_name("junit.xml").read_text()
    assert f"{len(planned)} checks: not asked" in path.with_name("report.html").read_text()


@pytest.mark.parametrize(
    ("how", "again", "told"),
    [
        (PYTEST, "--lf", "run-last-failure: no previously failed tests, not deselecting items."),
        (RUN, "--last-failed", ": everything is asked"),
    ],
    ids=["pytest", "seatrial"],
)
def test_where_nothing_failed_everything_is_asked(tmp_path: Path, how: tuple[str, ...], again: str, told: str) -> None:
    done, run = run_trial(tmp_path, *how, again)

    assert (done.returncode, run.verdict) == (0, "pass"), done.stdout + done.stderr
    assert told in done.stdout + done.stderr
    assert "R03" in list_asked(run)["fickle"]


def make_record(target: str, check_id: str, status: str, **facts: str) -> CheckRecord:
    return CheckRecord(target=target, id=check_id, title="t", level="MUST", status=status, facts=facts)  # type: ignore[arg-type]


def write_records(out: Path, name: str, *records: CheckRecord | PlanRecord) -> None:
    directory = TrialDirectory.create(out, name)
    for record in records:
        directory.append(encode_record(record))


def test_the_last_trial_counts_also_where_it_was_broken_off(tmp_path: Path) -> None:
    write_records(tmp_path, "20260101-000000-b", make_record("a", "B01", "fail"))
    write_records(tmp_path, "20260102-000000-a", make_record("a", "R01", "error"), make_record("a", "R03", "pass"))
    with (tmp_path / "20260102-000000-a" / "records.jsonl").open("a") as stream:
        stream.write('{"kind": "check", "da')

    assert find_last(tmp_path) == tmp_path / "20260102-000000-a"
    # Which did not come to ask what the trial before it asked.
    assert list_failed(tmp_path) == {("a", "R01"), ("a", "B01")}
    assert find_last(tmp_path / "nowhere") is None
    assert list_failed(tmp_path / "nowhere") == set()


def test_what_a_whole_trial_asked_stands_for_all_before_it(tmp_path: Path) -> None:
    write_records(tmp_path, "20260101-000000-a", make_record("a", "B01", "fail"), make_record("b", "R01", "fail"))
    plan = PlanRecord(target="a", checks=("B01", "R01"))
    write_records(tmp_path, "20260102-000000-a", plan, make_record("a", "B01", "pass"), make_record("a", "R01", "fail"))
    write_records(tmp_path, "20260103-000000-a", plan, make_record("a", "B01", "pass"))

    assert list_failed(tmp_path) == {("a", "R01")}


def test_answers_that_are_not_the_same_are_asked_again_of_both(tmp_path: Path) -> None:
    """Where the target's own answers are wrong, that alone says why."""
    same = [make_record("b", "R02", "fail", compared_with="a"), make_record("c", "R02", "fail", compared_with="a")]
    write_records(tmp_path, "20260101-000000-a", make_record("c", "R01", "fail"), *same)

    assert list_failed(tmp_path) == {("c", "R01"), ("b", "R01"), ("a", "R01")}


def test_records_of_another_version_are_no_reason_to_ask_nothing(tmp_path: Path) -> None:
    write_records(tmp_path, "20260101-000000-a")
    (tmp_path / "20260101-000000-a" / "records.jsonl").write_text('{"kind": "other", "data": {}}\n')

    assert list_failed(tmp_path) == set()


def test_of_a_users_own_what_is_in_other_files_is_told_too(tmp_path: Path) -> None:
    """pytest's own option collects no file in which nothing failed."""
    (tmp_path / "test_one.py").write_text("def test_fails(seatrial_deployment):\n    raise AssertionError\n")
    (tmp_path / "test_other.py").write_text("def test_holds(seatrial_deployment):\n    pass\n")
    how = ("-m", "pytest", "-p", "no:randomly", "-p", "fickle_plugin")
    run_trial(tmp_path, *how)

    done, run = run_trial(tmp_path, *how, "--lf")

    assert done.returncode == 1, done.stdout + done.stderr
    assert {result.not_asked for result in run.targets.values()} == {("test_holds",)}
