"""The order in which a session asks its targets: by chance, and in the result."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from seatrial.records import RunResult, decode_run

TEST = "def test_mine(seatrial_target):\n    assert seatrial_target\n"


def run_pytest(directory: Path, *arguments: str) -> str:
    (directory / "test_mine.py").write_text(TEST)
    env = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    env |= {"SEATRIAL_MODEL": "nonce", "SEATRIAL_STATE_DIR": str(directory / "state")}
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    done = subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def collect(directory: Path, *arguments: str) -> tuple[str, ...]:
    return tuple(re.findall(r"test_mine\[(.+)\]", run_pytest(directory, "--collect-only", "-q", *arguments)))


def read_run(directory: Path) -> RunResult:
    (path,) = (directory / "seatrial-results").glob("*/run.json")
    return decode_run(path.read_bytes())


def test_targets_are_asked_in_another_order_each_time(tmp_path: Path) -> None:
    orders = [collect(tmp_path, "--target", "all") for _ in range(4)]

    assert len({frozenset(order) for order in orders}) == 1
    assert len(orders[0]) == 7
    # All four alike: once in 5,040 ** 3 times.
    assert len(set(orders)) > 1


def test_a_seed_has_an_order_of_its_own(tmp_path: Path) -> None:
    first, again, other = (collect(tmp_path, "--target", "all", "--seatrial-seed", seed) for seed in ("3", "3", "4"))

    assert first == again != other


def test_the_order_is_in_the_result(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, "-v", "--target", "inprocess,local,gradio,mlflow")

    run = read_run(tmp_path)
    assert run.order == tuple(re.findall(r"test_mine\[(.+)\] PASSED", said))
    assert set(run.order) == set(run.targets)


def test_all_workers_have_one_order(tmp_path: Path) -> None:
    run_pytest(tmp_path, "-n", "3", "--target", "all")

    assert set(read_run(tmp_path).order) == set(read_run(tmp_path).targets)
