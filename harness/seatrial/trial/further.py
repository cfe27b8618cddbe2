"""Deployments that checks have besides those of the fleet: where a trial ends before such a check does, it takes them down."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from seatrial.errors import DeploymentError, SeatrialError
from seatrial.target import Deployment


class Further:
    """Knows them from their deployment on. `close` may come at any time, from another thread than theirs."""

    def __init__(self) -> None:
        self._there: list[Deployment] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def keep(self, deployment: Deployment) -> Iterator[None]:
        """Know a deployment during the block, and take it down after it.

        Raises:
            DeploymentError: the trial has ended meanwhile.
        """
        with self._lock:
            self._there.append(deployment)
        try:
            if self._is_closed:
                raise DeploymentError("the trial ended before it was ready")
            yield
        finally:
            try:
                deployment.undeploy()
            finally:
                with self._lock:
                    self._there.remove(deployment)

    def close(self) -> None:
        """Take down what is there; whoever asks it sees it gone. What cannot be taken down is left to the trial's owner."""
        self._is_closed = True
        with self._lock:
            there = list(self._there)
        for deployment in there:
            with contextlib.suppress(SeatrialError, OSError):
                deployment.undeploy()
