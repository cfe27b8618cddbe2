"""The client keeps off the CPUs of a target that is kept to some of them."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.errors import DeploymentError
from seatrial.target import Limits
from seatrial.trial.limits import off_cpus

needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")


def deploy(limits: Limits | None) -> Any:
    def read_limits() -> Limits:
        if limits is None:
            raise DeploymentError("it is gone")
        return limits

    manifest = SimpleNamespace(resources=SimpleNamespace(cpus=1.0))
    return SimpleNamespace(read_limits=read_limits, model=SimpleNamespace(manifest=manifest))


def read_childs() -> set[int]:
    argv = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return {int(word) for word in done.stdout.split()}


@needs_two
def test_what_the_block_starts_runs_elsewhere_and_what_follows_everywhere() -> None:
    before = os.sched_getaffinity(0)
    taken = max(before)
    within = set[int]()

    def break_off() -> None:
        with off_cpus(deploy(Limits(cpus=1.0, memory_bytes=None, cpu_set=(taken,)))):
            within.update(read_childs())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()

    assert within == before - {taken}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    "limits",
    [
        None,
        Limits(cpus=None, memory_bytes=None),
        Limits(cpus=1.0, memory_bytes=None),
        Limits(cpus=99.0, memory_bytes=None, cpu_set=tuple(os.sched_getaffinity(0))),
    ],
)
def test_with_no_set_or_all_cpus_in_it_they_are_shared(limits: Limits | None) -> None:
    before = os.sched_getaffinity(0)
    with off_cpus(deploy(limits)):
        assert os.sched_getaffinity(0) == before
