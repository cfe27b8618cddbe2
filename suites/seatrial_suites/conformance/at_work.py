"""A model that tells on standard error when it is at work: travels in a copy of the model, and runs where that is served.

Standard library only. Times are of CLOCK_MONOTONIC (clock_gettime(2)), which all processes and containers of a machine share.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = "seatrial at work:"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def name_machine() -> str:
    """Return what tells whose clock it is: the kernel's name for the machine's present life (proc_sys_kernel(5)), or a dash."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "-"


class AtWork:
    """A model like another, whose predictions tell when each is entered and left, and take a while in between.

    Args:
        model: the other; all that is used of it is `load`.
        expected: how many are waited for, so that they need not come at the same moment.
        patience_s: how long for, by the first; after that nobody waits for them.
        hold_s: what each takes from then on: in this time one too many can come in.
    """

    def __init__(self, model: Any, *, expected: int, patience_s: float, hold_s: float) -> None:
        self._model = model
        self._expected = expected
        self._patience_s = patience_s
        self._hold_s = hold_s
        self._machine = name_machine()
        self._lock = threading.Lock()
        self._inside = 0
        self._need_wait_no_more = threading.Event()

    def load(self, directory: Path) -> Callable[[Any], Any]:
        """Load the other, and return the function that predicts."""
        predict = self._model.load(directory)

        def predict_watched(tensors: Any) -> Any:
            token = secrets.token_hex(8)
            self._tell(token, "entered")
            try:
                self._hold()
                return predict(tensors)
            finally:
                self._tell(token, "left")

        return predict_watched

    def _hold(self) -> None:
        with self._lock:
            self._inside += 1
            is_full = self._inside >= self._expected
        if is_full or not self._need_wait_no_more.wait(self._patience_s):
            self._need_wait_no_more.set()
        time.sleep(self._hold_s)
        with self._lock:
            self._inside -= 1

    def _tell(self, token: str, what: str) -> None:
        # One write a line, past all buffers: lines of several threads and processes do not mix.
        os.write(2, f"{MARK} {self._machine} {token} {what} {time.monotonic_ns()}\n".encode())
