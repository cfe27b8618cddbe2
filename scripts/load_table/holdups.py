"""Times in which a machine let nobody run on one of its CPUs, found by a process on each that is first for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Self

import numpy as np
import numpy.typing as npt

# Sleeps for a short time, over and over, before all others on its CPU, and notes when it was woken late.
_WATCHING = """
import json, os, sys, threading, time
os.sched_setaffinity(0, {int(sys.argv[1])})
pause_ns, late_ns = int(sys.argv[2]), int(sys.argv[3])
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
first = True
try:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
except OSError:
    first = False
print("watching", flush=True)
late = []
while not over.is_set():
    due = time.monotonic_ns() + pause_ns
    time.sleep(pause_ns / 1e9)
    now = time.monotonic_ns()
    if now - due > late_ns:
        late.append((due, now))
print(json.dumps([first, late]))
"""


HELD_UP_ALLOWED = 0.05
"""Of the requests: with more there is no saying what the client is like."""


class HoldUps:
    """Watches while its block runs.

    Args:
        pause_s: for which a watcher sleeps. The shorter, the more of its CPU it takes.
        late_s: from how late on it was held up. A hold-up as long as both together is found whenever it begins; of a shorter one
            the end may come before the watcher is due.

    Attributes:
        spans_ns: shape (hold-ups, 2), begin and end on CLOCK_MONOTONIC, once the block has ended.
        is_first: the watchers had a real-time priority; without it what they felt may be other processes.
    """

    def __init__(self, *, pause_s: float, late_s: float) -> None:
        self._times_ns = [str(round(each * 1e9)) for each in (pause_s, late_s)]
        self.spans_ns: npt.NDArray[np.int64] = np.empty((0, 2), np.int64)
        self.is_first = True

    def __enter__(self) -> Self:
        self._watchers = [
            subprocess.Popen(
                [sys.executable, "-c", _WATCHING, str(cpu), *self._times_ns],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for cpu in sorted(os.sched_getaffinity(0))
        ]
        for watcher in self._watchers:
            assert watcher.stdout is not None
            watcher.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        told = [json.loads(watcher.communicate(timeout=30)[0]) for watcher in self._watchers]
        self.is_first = all(first for first, _ in told)
        spans = [span for _, late in told for span in late]
        self.spans_ns = np.array(sorted(spans), np.int64).reshape(-1, 2)

    def touch(self, begin_ns: npt.NDArray[np.int64], end_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of some spans of time overlap a hold-up; none where the watchers were not first."""
        if not self.is_first:
            return np.zeros(len(begin_ns), np.bool_)
        begins, ends = self.spans_ns[:, 0], np.maximum.accumulate(self.spans_ns[:, 1])
        # Of the hold-ups that begin before a span's end, the one that lasts longest must end before it begins.
        before = np.searchsorted(begins, end_ns, side="right")
        return (before > 0) & (np.concatenate(([-1], ends))[before] >= begin_ns)
