"""Several clients at a time, in threads that keep no process from ending: who interrupts a trial waits for none of them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

_Result = TypeVar("_Result")


def begin(call: Callable[[], _Result]) -> Future[_Result]:
    """Call in a thread of its own, from now on."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def ask_at_once(clients: int, ask: Callable[[int, threading.Barrier], _Result]) -> list[_Result]:
    """Have clients ask side by side, and return what each has, in their order.

    Args:
        clients: how many.
        ask: called with a client's number and the gate at which it waits, when it is ready, until all are.

    What one raises is raised when all have ended; where the caller is interrupted, nobody is waited for.
    """
    gate = threading.Barrier(clients)
    futures: list[Future[_Result]] = []
    try:
        futures.extend(begin(functools.partial(ask, number, gate)) for number in range(clients))
        return [future.result() for future in futures]
    except BaseException as error:
        gate.abort()
        if isinstance(error, Exception):
            wait(futures)
        raise
