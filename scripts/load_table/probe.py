"""What else ran on this machine meanwhile, found without the load engine: whether a run had the machine to itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

# Wakes each 2 ms and notes how late: what a process of no importance feels of the machine.
_FEELING = """
import json, sys, threading, time
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
late, due = [], time.monotonic()
while not over.is_set():
    due = max(due + 0.002, time.monotonic())
    time.sleep(max(due - time.monotonic(), 0))
    late.append(time.monotonic() - due)
print(json.dumps({"share": sum(each > 0.001 for each in late) / max(len(late), 1), "largest": max(late, default=0.0)}))
"""
FOREIGN_ALLOWED = 0.05
STEAL_ALLOWED = 0.01
LATE_ALLOWED = 0.005
LARGEST_ALLOWED_S = 0.03


class Probe:
    """Watches while its block runs. `disturbances` says afterwards what was in the way; a run without any is clean."""

    def __init__(self) -> None:
        self.disturbances: list[str] = []

    def __enter__(self) -> Self:
        self._popen = subprocess.Popen([sys.executable, "-c", _FEELING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._others = _read_others()
        self._ticks = _read_ticks()
        return self

    def __exit__(self, *_: object) -> None:
        said, _err = self._popen.communicate(timeout=30)
        ticks = _read_ticks()
        felt = json.loads(said)
        whole = max(ticks[0] - self._ticks[0], 1)
        steal = (ticks[1] - self._ticks[1]) / whole
        seconds = whole / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
        foreign = max(_read_others() - self._others, 0.0) / seconds
        if foreign > FOREIGN_ALLOWED:
            self.disturbances.append(f"other processes used {foreign:.0%} of a CPU")
        if steal > STEAL_ALLOWED:
            self.disturbances.append(f"the hypervisor took {steal:.1%}")
        if felt["share"] > LATE_ALLOWED:
            self.disturbances.append(f"{felt['share']:.1%} of timers came over 1 ms late")
        if felt["largest"] > LARGEST_ALLOWED_S:
            self.disturbances.append(f"a timer came {felt['largest'] * 1e3:.0f} ms late")


def _read_ticks() -> tuple[int, int]:
    """Return the machine's CPU time and what was stolen of it, ticks (proc(5))."""
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[7]


def _read_others() -> float:
    """Return the CPU seconds of all processes but this one and its descendants, ended children included."""
    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    total = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in own:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
