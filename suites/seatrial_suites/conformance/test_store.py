"""The store that a model comes from: once it is served nothing leans on it, and without it a start says so. Asked last."""

from __future__ import annotations

import contextlib
import time
from typing import Any, cast

import pytest

from seatrial.checks import Findings, check
from seatrial.errors import DeploymentError, InfrastructureError
from seatrial.target import Deployment, LeansOnStore
from seatrial_suites.conformance.asking import PART_E, ask_cases, describe_wrong
from seatrial_suites.conformance.histories import describe_requests, find_lost, find_wrong
from seatrial_suites.conformance.traffic import KeepHistory, Traffic

pytestmark = pytest.mark.conformance
START_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 180.0
_GRACE_S = 30.0
_CLIENTS, _PACE_S = 2, 0.05
_CAUSE = ("refused", "unreachable", "unavailable", "cannot connect", "could not connect", "max retries")


@check(
    "F04",
    "without its store it serves on, and a start says what is missing",
    level="SHOULD",
    needs={"store"},
    profile="standard",
    sentence="With its store down every golden case is answered right; a start fails in bounded time and names the connection "
    "as the cause; with the store back it starts and answers right.",
    source=f"{PART_E}, F04",
)
def test_store_down(
    seatrial_deployment: Deployment, seatrial_history: KeepHistory, seatrial_facts: dict[str, Any]
) -> None:
    model, store, findings = seatrial_deployment.model, cast("LeansOnStore", seatrial_deployment), Findings()
    with Traffic(seatrial_deployment, clients=_CLIENTS, kept=_CLIENTS, pace_s=_PACE_S) as traffic:
        traffic.wait_answered()
        traffic.mark("store stops")
        store.stop_store()
        traffic.mark("store down")
        # What is not answered is in the history.
        with contextlib.suppress(AssertionError):
            traffic.wait_answered()
    history = traffic.history
    seatrial_history("F04", history)
    try:
        wrong = ask_cases(seatrial_deployment, model, {})
        findings.judge("down after the start", describe_wrong(wrong, model) if wrong else "")
        lost = {each.invoke_s: each for each in [*find_wrong(history), *find_lost(history)]}
        what = "were answered wrong or failed as it went down"
        findings.judge("going down", describe_requests(what, [*lost.values()], history))
        seatrial_deployment.stop(_GRACE_S)
        began_s = time.monotonic()
        findings.judge("down at the start", _say_of_start(seatrial_deployment))
        seatrial_facts["failed_start_s"] = time.monotonic() - began_s
    finally:
        # What is left of the failed start goes first; a deployment that serves on is started anew too.
        seatrial_deployment.kill()
        store.start_store()
        seatrial_deployment.restart()
        seatrial_deployment.wait_ready(READY_TIMEOUT_S)
    wrong = ask_cases(seatrial_deployment, model, {})
    findings.judge("back again", describe_wrong(wrong, model) if wrong else "")
    findings.conclude(seatrial_facts)


def _say_of_start(deployment: Deployment) -> str:
    """Return what is wrong with a start without the store, or an empty string."""
    try:
        deployment.restart()
        deployment.wait_ready(START_TIMEOUT_S)
    except InfrastructureError:
        raise
    except DeploymentError as error:
        told = any(each in str(error).lower() for each in _CAUSE)
        return "" if told else f"its reason does not name the connection:\n{error}"
    return "it says that it is ready, though it cannot have got its model"
