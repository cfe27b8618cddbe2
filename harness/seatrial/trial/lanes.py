"""Lanes: threads in which checks of deployments of their own are asked. They keep no process from ending."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")
# Each may have a server start, which takes a CPU for seconds; the main thread asks as well.
_MOST_LANES = 4


class Lanes:
    """As many threads as there are CPUs besides the one of the main thread, one at least; they begin when there is work."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._most = min(_MOST_LANES, max(1, (os.cpu_count() or 1) - 1))
        self._threads: list[threading.Thread] = []

    def submit(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Have a call made as soon as one of the threads is free."""
        future: Future[_Result] = Future()
        self._calls.put((call, future))
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name=f"apart-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _run(self) -> None:
        while True:
            call, future = self._calls.get()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
