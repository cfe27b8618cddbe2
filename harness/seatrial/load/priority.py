"""To be first for a CPU: a process that waits for one among others waits for a tick of the scheduler, 4 ms as a rule."""

from __future__ import annotations

import os


def come_first() -> bool:
    """Take a real-time priority, and return whether it was given: it takes the right to (CAP_SYS_NICE) and a second CPU.

    For a process that leaves most of a CPU's time free: what runs all the time in it takes that CPU away from all others
    (sched(7), SCHED_RR).
    """
    if (os.cpu_count() or 1) < 2 or not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    return True
