"""Readiness: it is told when the model is loaded, not before, and also while the server has its hands full."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.errors import DeploymentError, InfrastructureError
from seatrial.model import ModelDirectory
from seatrial.target import Deployment, MayTellReady
from seatrial_suites.conformance.altered import Deploy, copy_slow
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.refusing import say_after
from seatrial_suites.conformance.traffic import Traffic

pytestmark = pytest.mark.conformance
SLOW_LOAD_S = 3.0
ANSWERED_WITHIN_S = 2.0
"""The first question: less than the load takes, so that it does not wait for that."""
READY_WITHIN_S = 2.0
"""SageMaker's bound on an answer to /ping; Kubernetes' probes have 1 s unless told otherwise."""
_CLIENTS = 16
HOLD_S = 6.0
"""Probes of readiness come each second, and it takes two or three in a row to count."""
_LEAST_TIMES = 5
POLL_S = 0.25
_PACE_S = 0.01
"""From one question of a client to its next: 1600 a second in all are more than any Python server answers on one core."""


@check(
    "C01",
    "ready means loaded",
    needs={"model-directory"},
    profile="standard",
    sentence="A model that takes seconds to load is not said to be ready before it is loaded: the first question asked from then "
    "on, at once and once, is answered right.",
    source=f"{PART_E}, C01; Kubernetes documentation, Liveness, Readiness, and Startup Probes",
    apart=True,
)
def test_ready_means_loaded(
    seatrial_model: ModelDirectory, seatrial_deploy: Deploy, seatrial_facts: dict[str, Any], tmp_path: Path
) -> None:
    slow = copy_slow(seatrial_model, tmp_path / "slow", SLOW_LOAD_S)
    began_s = time.perf_counter()
    with seatrial_deploy(slow) as deployment, Client(deployment.endpoint, slow.manifest) as client:
        seatrial_facts.update(load_s=SLOW_LOAD_S, ready_after_s=time.perf_counter() - began_s)
        wrong = say_after(client, slow, timeout_s=ANSWERED_WITHIN_S)
        assert not wrong, f"it said that it was ready, and {wrong}"


@check(
    "C03",
    "readiness is told under load",
    level="SHOULD",
    profile="standard",
    sentence=f"While {_CLIENTS} clients ask one question after another for {HOLD_S:g} s, it says that it is ready within "
    f"{READY_WITHIN_S:g} s, each time that it is asked.",
    source=f"{PART_E}, C03; SageMaker Developer Guide, Custom Inference Code with Hosting Services, How Your Container "
    "Should Respond to Health Check (Ping) Requests",
)
def test_ready_under_load(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    phases_s, slowest_s = dict(seatrial_deployment.phases_s), 0.0
    findings = Findings()
    if seatrial_deployment.endpoint.path == "port-forward":
        pytest.skip("to ask for readiness renews the port forwarding that the questions come through")
    if isinstance(seatrial_deployment, MayTellReady) and not seatrial_deployment.tells_ready:
        pytest.skip("it is not known where it says that it is ready")
    times = 0
    with Traffic(seatrial_deployment, kept=_CLIENTS, pace_s=_PACE_S) as traffic:
        ends_s = time.monotonic() + HOLD_S
        while times < _LEAST_TIMES or time.monotonic() < ends_s:
            times += 1
            began_s = time.perf_counter()
            findings.judge(f"asked for the {times}. time", _ask_ready(seatrial_deployment))
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
            time.sleep(POLL_S)
    # The phase is that of the start, and this was none.
    seatrial_deployment.phases_s.clear()
    seatrial_deployment.phases_s.update(phases_s)
    seatrial_facts.update(clients=_CLIENTS, asked=len(traffic.history.requests), times=times, slowest_ready_s=slowest_s)
    findings.conclude(seatrial_facts)


def _ask_ready(deployment: Deployment) -> str:
    """Return what is wrong with its readiness now, or an empty string."""
    try:
        deployment.wait_ready(READY_WITHIN_S)
    except InfrastructureError:
        raise
    except DeploymentError as error:
        return f"it is not ready within {READY_WITHIN_S:g} s:\n{error}"
    return ""
