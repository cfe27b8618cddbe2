"""A call at a monotonic time, to some tenths of a millisecond: the loop's own timers count whole milliseconds (libuv)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from typing import Final

SECOND_NS: Final = 1_000_000_000
FINE_NS: Final = 300_000
"""A timer of the kernel's wakes a process some 70 us late, 250 us at the 99th percentile, on a virtual machine."""
COARSE_NS: Final = 2_000_000
"""The loop's timers are cut to milliseconds, and may come one late."""
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class Alarm:
    """Calls back once a setting: by a timerfd (timerfd_create(2)) where there is one, else by the loop's timer.

    Attributes:
        margin_ns: how much earlier than needed it is to be set: so late it may be.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        self._setting = _Setting()
        library = ctypes.CDLL(None)
        if hasattr(library, "timerfd_create"):
            self._descriptor = library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
            self._set_time = library.timerfd_settime
        if self._descriptor >= 0:
            loop.add_reader(self._descriptor, self._ring)
        self.margin_ns = FINE_NS if self._descriptor >= 0 else COARSE_NS

    def set(self, at_ns: int) -> None:
        """Call back at a monotonic time, soon when that is past; the time that was set before is forgotten."""
        if self._descriptor < 0:
            self._cancel()
            self._timer = self._loop.call_later(max(0.0, at_ns - time.monotonic_ns()) / SECOND_NS, self._callback)
            return
        value = self._setting.value
        value.seconds, value.nanoseconds = divmod(max(at_ns, 1), SECOND_NS)
        self._set_time(self._descriptor, _ABSOLUTE, ctypes.byref(self._setting), None)

    def close(self) -> None:
        """Call back no more."""
        self._cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            # Set anew after the loop had seen it ring.
            return
        self._callback()
