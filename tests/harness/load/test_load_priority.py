"""Who sends seldom comes first for a CPU; who sends all the time does not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from seatrial.load.pacer.__main__ import SPARSE_RATE, is_sparse
from seatrial.load.plan import Destination, Plan

PLAN = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=8.0, warm_up_s=2.0)


@pytest.mark.parametrize(("scheduled", "sparse"), [(10 * SPARSE_RATE, True), (10 * SPARSE_RATE + 1, False), (0, True)])
def test_a_schedule_is_sparse_up_to_a_rate(scheduled: int, sparse: bool) -> None:
    assert is_sparse(PLAN, scheduled) is sparse


def test_users_who_ask_again_at_once_are_never_sparse() -> None:
    assert not is_sparse(Plan(destination=Destination(), requests=(), cases=(), mode="closed", duration_s=8.0), 0)


def test_what_it_says_is_what_the_kernel_says() -> None:
    program = "import os; from seatrial.load.priority import come_first; print(come_first(), os.sched_getscheduler(0))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    said, scheduler = done.stdout.split()

    assert (int(scheduler) == os.SCHED_RR) == (said == "True")
    if os.geteuid() == 0 and (os.cpu_count() or 1) > 1 and can_take_priority():
        assert said == "True"


def can_take_priority() -> bool:
    """Whether the kernel lets another program have it (chrt(1))."""
    try:
        return subprocess.run(["chrt", "-r", "1", "true"], capture_output=True, check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        return False
