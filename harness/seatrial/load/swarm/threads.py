"""Threads of the system's in a process of Locust's, where gevent has made greenlets of Python's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent
from gevent.monkey import get_original

_END_TIMEOUT_S: Final = 5.0


def repeat_in_thread(work: Callable[[], None], period_s: float) -> Callable[[], None]:
    """Do work each so many seconds until what is returned is called, whatever the greenlets do meanwhile.

    The work itself may wait for nothing that gevent has replaced.
    """
    going_on = get_original("_thread", "allocate_lock")()
    going_on.acquire()

    def go_on() -> None:
        while not going_on.acquire(timeout=period_s):
            work()

    going = gevent.get_hub().threadpool.spawn(go_on)

    def end() -> None:
        going_on.release()
        going.wait(_END_TIMEOUT_S)

    return end
