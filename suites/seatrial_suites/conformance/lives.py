"""How checks see that a deployment is gone, and that another life of it has begun; and how long they wait for what lags."""

from __future__ import annotations

import re
import time
from collections import Counter

from seatrial.client import Client
from seatrial.target import Deployment
from seatrial.wire import Answer
from seatrial_suites.conformance.asking import NoAnswer, ask, ask_cases

GRACE_S = 30.0
"""From SIGTERM to SIGKILL."""
SILENCE_WAIT_S = 10.0
"""A port proxy, or a service's list of what to forward to, lags behind."""
NEW_LIFE_WAIT_S = 10.0
"""Logs are written, and collected, a moment later."""
USAGE_WAIT_S = 30.0
"""The kubelet's counters and control groups' are sampled."""
_POLL_S = 0.05
_LEAST_TIMEOUT_S = 2.0
_PATIENCE = 10.0
_ALL_LINES = 100_000
_FIRST_KINDS = 5
# Numbers, times, addresses, ids: what differs between two lines of a kind.
_VARIABLE = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")


class Silence:
    """Waits until a deployment does not answer any more. It answered when this was made; else AssertionError.

    A question that is not answered proves little while questions take long, so the time it gets depends on how long the
    first one took. Each has a connection of its own, and is asked once.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        began_s = time.monotonic()
        outcome = self._ask(None)
        assert isinstance(outcome, Answer), f"it did not answer before anything was done to it: {outcome.message}"
        self._timeout_s = max(_LEAST_TIMEOUT_S, _PATIENCE * (time.monotonic() - began_s))

    def wait(self) -> bool:
        """Tell whether a question went without an answer, now or within some seconds."""
        deadline_s = time.monotonic() + SILENCE_WAIT_S
        while isinstance(self._ask(self._timeout_s), Answer):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _ask(self, timeout_s: float | None) -> Answer | NoAnswer:
        model = self._deployment.model
        with Client(self._deployment.endpoint, model.manifest, keep_alive=False) as client:
            return ask(client, model.cases[0].inputs, timeout_s=timeout_s)


class StartLines:
    """Tells from its log whether another life of a deployment has begun: what a server writes as it starts is there again.

    Such lines are the first in a log, and are not written again while questions are answered, which is tried out here.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        before = self._count()
        ask_cases(deployment, deployment.model, {})
        after = self._count()
        steady = [kind for kind, count in before.items() if after[kind] == count]
        self._counts = {kind: after[kind] for kind in steady[:_FIRST_KINDS]}

    def wait_again(self) -> bool:
        """Tell whether one of them has been written again, now or within some seconds."""
        deadline_s = time.monotonic() + NEW_LIFE_WAIT_S
        while True:
            counts = self._count()
            if any(counts[kind] > count for kind, count in self._counts.items()):
                return True
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)

    def _count(self) -> Counter[str]:
        """Lines by kind, in the order in which the kinds appeared."""
        lines = self._deployment.read_logs(_ALL_LINES).splitlines()
        return Counter(_VARIABLE.sub("#", line.strip()) for line in lines if line.strip())
