"""Every command of the README is run, here or by the test that is named for it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# What is too large or too drastic to run here, with the test that runs it.
RUN_ELSEWHERE = {
    "./seatrial run --target all --provision": ("test_trials.py", "test_the_readme_command_deploys_to_all_seven"),
    "./seatrial run": ("test_trials.py", "test_run_without_options_needs_no_daemon"),
    "./seatrial test": ("../.ci/run", "exec ./seatrial test"),
    "./seatrial provision --undo": (
        "harness/test_provision_undo.py",
        "def test_steps_are_taken_back_in_reverse_and_forgotten",
    ),
    "./seatrial sagemaker-local": ("fixtures/sagemaker/test_local.py", 'start("--host", "container")'),
    "pytest --target all": ("test_trials.py", "test_pytest_over_two_workers_lives_all_seven_lives"),
}


def read_commands() -> list[str]:
    text = (REPOSITORY / "README.md").read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_has_commands() -> None:
    assert set(RUN_ELSEWHERE) <= set(read_commands())


@pytest.mark.parametrize("command", read_commands())
def test_the_command_is_run(tmp_path: Path, command: str) -> None:
    if command in RUN_ELSEWHERE:
        file, words = RUN_ELSEWHERE[command]
        assert words in (REPOSITORY / "tests" / file).read_text()
        return
    env = {key: value for key, value in os.environ.items() if key != "CI"}
    env |= {"SEATRIAL_STATE_DIR": str(tmp_path / "state"), "SEATRIAL_VENV": sys.prefix}
    done = subprocess.run(shlex.split(command), cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_example_of_own_tests_runs_on_two_targets(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--target", "inprocess,local", "test_mine.py"]
    env = {**os.environ, "SEATRIAL_STATE_DIR": str(tmp_path / "state"), "SEATRIAL_OUT": str(tmp_path / "out")}
    cwd = REPOSITORY / "examples" / "own-tests"

    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=170)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / name).read_text()):
            assert (REPOSITORY / link).exists(), f"{name} links to {link}"
