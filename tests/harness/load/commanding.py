"""`seatrial load` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any


def load(*arguments: str, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "seatrial", "load", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)


def interrupt(argv: list[str], *words: str) -> Any:
    """Return the result of a command that is told to stop when it has said words, each in a line of its own, in this order."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        assert popen.stdout is not None
        for word in words:
            assert any(word in line for line in popen.stderr)
        popen.send_signal(signal.SIGINT)
        result = json.loads(popen.stdout.read())
        assert popen.wait(timeout=30) == 130
    return result
