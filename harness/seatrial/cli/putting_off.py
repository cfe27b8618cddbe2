"""An interrupt that comes in the midst of what must be done whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[None]:
    """Have SIGINT and SIGTERM wait for the end of the block, where the first that came is dealt with as without it.

    By handlers, not by a mask: another thread of the process would be given the signal. They are the main thread's alone
    (https://docs.python.org/3/library/signal.html#signals-and-threads); in another one nothing is put off, and nothing comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before: dict[signal.Signals, Any] = {}
    is_over = False

    def note(number: int, frame: FrameType | None) -> None:
        if not is_over:
            came.append(number)
        elif callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    try:
        for number in _INTERRUPTS:
            handler = signal.getsignal(number)
            # Another's than Python's cannot be put back.
            if handler is not None:
                before[number] = handler
                signal.signal(number, note)
        yield
    finally:
        # Until each handler is back, who notes deals with it: what that raises leaves the other one noting, and dealing with it.
        is_over = True
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
