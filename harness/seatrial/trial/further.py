"""Deployments that checks have besides those of the fleet: where a trial ends before such a check does, it takes them down."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from seatrial.errors import DeploymentError
from seatrial.target import Deployment

DEPLOY_PATIENCE_S: Final = 5.0
"""How long the end of a trial waits for one that is being deployed, of which nobody else knows yet what there is of it."""


class Further:
    """Knows them from before their deployment on. `close` may come at any time, from another thread than theirs.

    Args:
        patience_s: how long `close` waits for what is being deployed.
    """

    def __init__(self, *, patience_s: float = DEPLOY_PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._there: list[_Kept] = []
        self._deploying = 0
        self._changed = threading.Condition()
        self._is_closed = False

    @contextlib.contextmanager
    def keep(self, deploy: Callable[[], Deployment]) -> Iterator[Deployment]:
        """Deploy, know the deployment during the block, and take it down after it.

        Raises:
            DeploymentError: the trial has ended meanwhile.
        """
        kept = self._deploy(deploy)
        try:
            if self._is_closed:
                raise _tell_ended()
            yield kept.deployment
        finally:
            try:
                kept.undeploy()
            finally:
                with self._changed:
                    self._there.remove(kept)

    def close(self) -> None:
        """Take down what is there; whoever asks it sees it gone. What cannot be taken down is left to the trial's owner."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._deploying, self._patience_s)
            there = list(self._there)
        for kept in there:
            # Each has its turn, whatever becomes of one; the reaper tells what is left.
            with contextlib.suppress(Exception):
                kept.undeploy()

    def _deploy(self, deploy: Callable[[], Deployment]) -> _Kept:
        with self._changed:
            if self._is_closed:
                raise _tell_ended()
            self._deploying += 1
        try:
            kept = _Kept(deploy())
            with self._changed:
                self._there.append(kept)
            return kept
        finally:
            with self._changed:
                self._deploying -= 1
                self._changed.notify_all()


class _Kept:
    """A deployment that is taken down by whoever comes first; another waits until it is, and tries where that failed."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._taking = threading.Lock()
        self._is_taken = False

    def undeploy(self) -> None:
        with self._taking:
            if not self._is_taken:
                self.deployment.undeploy()
                self._is_taken = True


def _tell_ended() -> DeploymentError:
    return DeploymentError("the trial ended before it was ready")
