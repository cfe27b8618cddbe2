"""The end of a process of Locust's: with that of the process that started it."""

from __future__ import annotations

import os
import signal
import sys

from gevent.socket import wait_read


def end_with_input() -> None:
    """End when who started this process does, whichever way: its standard input is closed then. For a greenlet of its own."""
    wait_read(sys.stdin.fileno())
    os.kill(os.getpid(), signal.SIGTERM)
