"""The lane: a thread in which checks of deployments of their own are asked. It keeps no process from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Lane:
    """One thread, begun when there is work.

    One, for a target need not have room for more than one deployment that such a check makes: a kind cluster has a few ports that
    can be reached, and each server that starts takes a CPU for seconds.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def close(self) -> None:
        """Make no further call; one that is being made goes on."""
        self._is_closed = True

    def submit(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Have a call made when those before it have ended."""
        future: Future[_Result] = Future()
        self._calls.put((call, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="apart", daemon=True)
            self._thread.start()
        return future

    def _run(self) -> None:
        while True:
            call, future = self._calls.get()
            if self._is_closed:
                return
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
