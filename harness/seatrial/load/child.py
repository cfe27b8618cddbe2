"""What is common to processes that are started to put load on something: what they inherit, and lines to and from them."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import Final

_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "VIRTUAL_ENV")


def pick_environ(*more: str) -> dict[str, str]:
    """Return what a child needs of this process's environment, and `more` of it by name."""
    return {name: value for name in (*_PASSED_ON, *more) if (value := os.environ.get(name)) is not None}


def write_line(popen: subprocess.Popen[bytes], line: bytes) -> None:
    """Give a child one line. Raises BrokenPipeError when it reads no more."""
    assert popen.stdin is not None
    popen.stdin.write(line + b"\n")
    popen.stdin.flush()


def read_line(popen: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """Return the next line of a child; empty at its end, which is made when it takes too long."""
    assert popen.stdout is not None
    watchdog = threading.Timer(max(timeout_s, 0.1), popen.kill)
    watchdog.daemon = True
    try:
        # Ctrl-C may come while it starts: it is cancelled all the same, or this process would wait for it at its end.
        watchdog.start()
        return popen.stdout.readline()
    finally:
        watchdog.cancel()
