"""What breaks in a session of the pytest plug-in is told with its evidence, is no pass, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_sessions import make_environ, read_run, run_pytest
from toy_technology import ASK, write_toy

UNWRITABLE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
def test_mine(seatrial_deployment, number):
    for path in (Path(__file__).parent / "seatrial-results").glob("*/records.jsonl"):
        if path.is_file():
            path.unlink()
            path.mkdir()
"""


def test_a_deployment_that_fails_is_an_error_with_its_fix(tmp_path: Path) -> None:
    write_toy(tmp_path)
    breaks = ["-p", "toy_plugin", "--seatrial-set", "targets.toy.breaks=true"]

    done = run_pytest(tmp_path, *breaks, "--target", "toy,inprocess", "--pyargs", "seatrial_suites")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert run.targets["toy"].errors[0].message == "the toy broke\nFix: glue it"
    (same,) = (check for check in run.targets["inprocess"].checks if check.id == "R02")
    assert same.status == "not-run"
    assert "fewer than two targets answered" in same.message
    assert run.targets["inprocess"].status == "partial"


def test_a_wrong_answer_is_a_failure_with_the_evidence(tmp_path: Path) -> None:
    """Red on purpose: the golden answer of one case is changed under the deployment's hands."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def seatrial_model(seatrial_models):\n"
        "    model = seatrial_models[0]\n"
        "    model.cases[3].outputs['answer'][...] += 1\n"
        "    return model\n"
    )
    (tmp_path / "test_again.py").write_text("from seatrial_suites.conformance.test_correctness import *\n")

    done = run_pytest(tmp_path, "--target", "inprocess", "test_again.py", "-k", "golden")

    run = read_run(tmp_path)
    assert (done.returncode, run.verdict, run.exit_code) == (1, "fail", 1)
    (check,) = run.targets["inprocess"].checks
    assert (check.id, check.status, check.facts["right"]) == ("R01", "fail", run.model.cases - 1)
    assert "case-004: output answer: 1 of 1 elements wrong" in check.message


def test_an_interrupted_session_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK + "\ndef test_second(seatrial_deployment):\n    raise KeyboardInterrupt\n"
    )

    done = run_pytest(tmp_path, "--target", "inprocess")

    run = read_run(tmp_path)
    assert done.returncode == 2
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert "it was interrupted, so not everything was asked" in run.causes


def test_a_worker_that_dies_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK
        + "\ndef test_second(seatrial_deployment):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = run_pytest(tmp_path, "-n", "1", "--max-worker-restart", "0", "--target", "inprocess")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert (
        "the worker crashed while it ran test_mine.py::test_second[inprocess]"
        in run.targets["inprocess"].errors[0].message
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("KeyError('memory')", "KeyError: 'memory'"),
        ("__import__('seatrial.errors').errors.InfrastructureError('no engine')", "no engine"),
    ],
    ids=["a bug", "nobody to ask"],
)
def test_a_target_that_breaks_as_it_goes_is_taken_down_and_told(tmp_path: Path, error: str, told: str) -> None:
    write_toy(tmp_path)
    text = (tmp_path / "toy_plugin.py").read_text()
    (tmp_path / "toy_plugin.py").write_text(text.replace("return Usage()", f"raise {error}"))

    done = run_pytest(tmp_path, "-p", "toy_plugin", "--target", "toy")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.leftovers) == ("error", ())
    assert f"its facts cannot be read: {told}" in run.targets["toy"].errors[0].message


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_cannot_be_written_down_is_not_asked(tmp_path: Path, workers: tuple[str, ...]) -> None:
    write_toy(tmp_path)
    (tmp_path / "test_mine.py").write_text(UNWRITABLE)

    done = run_pytest(tmp_path, "-p", "toy_plugin", "--target", "toy,inprocess", *workers)

    assert done.returncode == 3, done.stdout + done.stderr
    assert "records.jsonl cannot be written" in done.stdout
    assert "nothing more is asked" in done.stdout
    # A worker may have been given more of a target's tests already when its first one ends, and none of the next target's.
    assert int(re.search(r"\b(\d+) passed", done.stdout)[1]) in (range(1, 5) if workers else [1])  # type: ignore[index]


def test_killed_it_keeps_its_records_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK
        + "\ndef test_never_ends(seatrial_deployment):\n    import time\n    print('here', flush=True)\n    time.sleep(60)\n"
    )
    argv = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "--target", "inprocess"]
    with subprocess.Popen(argv, cwd=tmp_path, env=make_environ(tmp_path), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        while "here" not in (line := parent.stdout.readline()):
            assert line, "it ended before the second test"
        (directory,) = (tmp_path / "seatrial-results").iterdir()
        assert _list_marked(directory.name)
        parent.send_signal(signal.SIGKILL)

    deadline_s = time.monotonic() + 15.0
    while _list_marked(directory.name):
        assert time.monotonic() < deadline_s, "processes of the trial outlived it"
        time.sleep(0.1)
    kinds = {json.loads(line)["kind"] for line in (directory / "records.jsonl").read_text().splitlines()}
    assert "phase" in kinds, "what it had recorded is lost"


def _list_marked(run_id: str) -> list[int]:
    """Pids of the processes that carry the trial's marker."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"SEATRIAL_TRIAL={run_id}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
