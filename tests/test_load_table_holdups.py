"""Watchers that tell when a machine let nobody run on one of its CPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
TIMES = {"pause_s": 0.0002, "late_s": 0.00015}
BUSY_S = 0.05
CROWD = 8
# Keeps one CPU busy, as important as what has no real-time priority can be, or with one above all watchers; tells when.
BUSY = """
import contextlib, os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
if sys.argv[3] == "0":
    with contextlib.suppress(OSError):
        os.nice(-20)
else:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(int(sys.argv[3])))
begin = now = time.monotonic_ns()
while now < begin + float(sys.argv[2]) * 1e9:
    now = time.monotonic_ns()
print(begin, now)
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def keep_busy(priority: int) -> tuple[int, int]:
    cpu = max(os.sched_getaffinity(0))
    argv = [sys.executable, "-c", BUSY, str(cpu), str(BUSY_S), str(priority)]
    many = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(1 if priority else CROWD)]
    told = [busy.communicate(timeout=30)[0].split() for busy in many]
    return min(int(begin) for begin, _ in told), max(int(end) for _, end in told)


def find_held_up_share(spans_ns: np.ndarray, begin_ns: int, end_ns: int) -> float:
    from load_table.holdups import HoldUps

    hold_ups = HoldUps(**TIMES)
    hold_ups.spans_ns = spans_ns
    moments_ns = np.linspace(begin_ns, end_ns, 1001).astype(np.int64)
    return float(np.mean(hold_ups.touch(moments_ns, moments_ns)))


def test_what_keeps_even_the_first_process_from_a_cpu_is_a_hold_up_and_what_others_do_is_none() -> None:
    from load_table.holdups import HoldUps

    with HoldUps(**TIMES) as hold_ups:
        ordinary = keep_busy(priority=0)
        above_all = keep_busy(priority=9) if may_be_first() else None

    assert hold_ups.is_first == (above_all is not None)
    if above_all is None:
        assert not hold_ups.touch(np.array([ordinary[0]]), np.array([ordinary[1]])).any()
        return
    assert find_held_up_share(hold_ups.spans_ns, *above_all) > 0.9
    assert find_held_up_share(hold_ups.spans_ns, *ordinary) < 0.5


def may_be_first() -> bool:
    argv = [sys.executable, "-c", "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(9))"]
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0


@pytest.mark.parametrize(
    ("begin", "end", "touched"),
    [(0, 9, False), (5, 10, True), (12, 13, True), (21, 29, True), (41, 50, False), (20, 20, True), (40, 41, True)],
)
def test_a_request_is_held_up_where_it_overlaps_a_hold_up(begin: int, end: int, touched: bool) -> None:
    from load_table.holdups import HoldUps

    hold_ups = HoldUps(**TIMES)
    hold_ups.spans_ns = np.array([(10, 20), (11, 40), (12, 15)], np.int64)

    assert hold_ups.touch(np.array([begin]), np.array([end])).tolist() == [touched]


def test_where_the_watchers_are_not_first_nothing_is_excused() -> None:
    from load_table.holdups import HoldUps

    hold_ups = HoldUps(**TIMES)
    hold_ups.spans_ns, hold_ups.is_first = np.array([(10, 20)], np.int64), False

    assert not hold_ups.touch(np.array([15]), np.array([16])).any()


def test_hold_ups_that_are_nearly_as_long_as_what_is_allowed_are_found_by_the_row_of_one_worker() -> None:
    from load_table import one_worker

    assert (one_worker.HOLD_UP_PAUSE_S + one_worker.HOLD_UP_LATE_S) * 1e9 < one_worker.WITHIN_NS / 2
