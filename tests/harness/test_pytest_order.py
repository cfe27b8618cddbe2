"""The order in which a session asks its targets: by chance, and in the result."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_sessions import read_run, run_pytest

TEST = "def test_mine(seatrial_target):\n    assert seatrial_target\n"


def ask(directory: Path, *arguments: str) -> str:
    (directory / "test_mine.py").write_text(TEST)
    done = run_pytest(directory, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def collect(directory: Path, *arguments: str) -> tuple[str, ...]:
    return tuple(re.findall(r"test_mine\[(.+)\]", ask(directory, "--collect-only", "-q", *arguments)))


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
    said = ask(tmp_path, "-v", "--target", "inprocess,local,gradio,mlflow")

    run = read_run(tmp_path)
    assert run.order == tuple(re.findall(r"test_mine\[(.+)\] PASSED", said))
    assert set(run.order) == set(run.targets)


def test_all_workers_have_one_order(tmp_path: Path) -> None:
    ask(tmp_path, "-n", "3", "--target", "all")

    assert set(read_run(tmp_path).order) == set(read_run(tmp_path).targets)
