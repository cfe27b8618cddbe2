"""Waiting for what comes to hold."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 60.0
"""Of every wait that has no other bound: for the port of a server, for a line of a process."""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.1)


def eventually(holds: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
