"""Rolling updates: one version takes over from another under load, or does not, and nobody who asks is let down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seatrial.checks import check
from seatrial.errors import DeploymentError, InfrastructureError, SeatrialError
from seatrial.model import ModelDirectory
from seatrial.target import Deployment, Scales
from seatrial_suites.conformance.altered import REASON, copy_failing
from seatrial_suites.conformance.asking import PART_E, have_same_inputs, is_told_apart
from seatrial_suites.conformance.histories import (
    count_kept_lost,
    describe_requests,
    find_lost,
    find_of_old,
    find_wrong,
    require_none,
)
from seatrial_suites.conformance.traffic import KeepHistory, Traffic

pytestmark = pytest.mark.conformance
_NEW_CLIENTS, _KEPT_CLIENTS = 4, 4
GONE_WITHIN_S = 60.0
"""For one that is about to go: Kubernetes gives 30 s, and more where the pod asks for it."""
SETTLED_S = 15.0
"""For which their number has to hold."""
_POLL_S = 0.1
PACE_S = 0.1
"""From one question of a client to its next: constant load, whatever becomes of the answers."""


@check(
    "L02",
    "no request fails during an update",
    needs={"rolling-update"},
    profile="standard",
    sentence="While a version takes over from another under constant load, every question on a connection of its own is "
    "answered, right by one of them; when it is over, by the new one alone; and so on the way back.",
    source=f"{PART_E}, L02; Kubernetes documentation, Performing a Rolling Update; SageMaker API Reference, UpdateEndpoint",
)
def test_update_under_load(
    seatrial_deployment: Deployment,
    seatrial_models: tuple[ModelDirectory, ...],
    seatrial_history: KeepHistory,
    seatrial_facts: dict[str, Any],
) -> None:
    """A connection that is kept may be closed just as a question is sent on it (RFC 9112, 9.5): that is told as a fact."""
    if len(seatrial_models) < 2:
        pytest.skip(f"{seatrial_models[0].name} has one version")
    first, second = seatrial_models[:2]
    if not any(have_same_inputs(one, other) for one in first.cases for other in second.cases):
        pytest.skip("its versions have no golden case in common, so no question is right for both")
    _skip_forwarded(seatrial_deployment)
    deployment, stretches = seatrial_deployment, []
    with _left_as(deployment, first):
        with Traffic(
            deployment, clients=_NEW_CLIENTS, kept=_KEPT_CLIENTS, pace_s=PACE_S, versions=(first, second)
        ) as traffic:
            for version in (second, first):
                traffic.wait_answered()
                begun_s = traffic.mark(f"update to {version.version}")
                deployment.update(version)
                updated_s = traffic.mark(f"updated to {version.version}")
                seatrial_facts[f"update_to_{version.version}_s"] = updated_s - begun_s
                traffic.wait_answered()
                stretches.append((version.version, updated_s, traffic.mark(f"asked {version.version}")))
        history = traffic.history
        seatrial_history("L02", history)
        seatrial_facts["kept_connections_lost"] = count_kept_lost(history)
        told_apart = is_told_apart(first, second)
        require_none(
            describe_requests("were answered wrong", find_wrong(history), history),
            describe_requests("failed", find_lost(history), history),
            *(
                describe_requests(f"were answered by the other version after the update to {version}", old, history)
                for version, begin_s, end_s in stretches
                if told_apart and (old := find_of_old(history, version, begin_s, end_s))
            ),
        )


@check(
    "L04",
    "a version that fails leaves the old one serving",
    needs={"rolling-update", "model-directory"},
    profile="standard",
    sentence="An update to a version that does not load is told as failed, with the reason; meanwhile and afterwards every "
    "question on a connection of its own is answered right, by the version that was there.",
    source=f"{PART_E}, L04; Kubernetes documentation, Deployments, Failed Deployment; SageMaker Developer Guide, Auto-Rollback",
)
def test_update_that_fails(
    seatrial_deployment: Deployment, seatrial_history: KeepHistory, seatrial_facts: dict[str, Any], tmp_path: Path
) -> None:
    deployment, model = seatrial_deployment, seatrial_deployment.model
    _skip_forwarded(deployment)
    failing = copy_failing(model, tmp_path / "failing")
    told = None
    with _left_as(deployment, model):
        with Traffic(deployment, clients=_NEW_CLIENTS, kept=_KEPT_CLIENTS, pace_s=PACE_S) as traffic:
            traffic.wait_answered()
            began_s = time.perf_counter()
            traffic.mark("update")
            try:
                deployment.update(failing)
            except InfrastructureError:
                raise
            except DeploymentError as error:
                told = str(error)
            traffic.mark("updated" if told is None else "update failed")
            seatrial_facts["told_after_s"] = time.perf_counter() - began_s
            # What is not answered is in the history.
            with contextlib.suppress(AssertionError):
                traffic.wait_answered()
        history = traffic.history
        seatrial_history("L04", history)
        seatrial_facts["kept_connections_lost"] = count_kept_lost(history)
        assert told is not None, f"it took over a version that does not load: {REASON}"
        require_none(
            describe_requests("were answered wrong", find_wrong(history), history),
            describe_requests("failed", find_lost(history), history),
            "" if REASON in told else f"its reason does not say {REASON!r}:\n{told}",
        )


@check(
    "L09",
    "no request fails as instances come and go",
    needs={"scale"},
    profile="standard",
    sentence="Under constant load a second instance is added and taken away again: as many are there as were asked for, and "
    "every question on a connection of its own is answered right.",
    source=f"{PART_E}, L02; Kubernetes documentation, Scaling a Deployment; Pod Lifecycle, Termination of Pods",
)
def test_scale_under_load(
    seatrial_deployment: Deployment, seatrial_history: KeepHistory, seatrial_facts: dict[str, Any]
) -> None:
    deployment = seatrial_deployment
    assert isinstance(deployment, Scales), "it claims scale, and cannot be told how many instances to run"
    _skip_forwarded(deployment)
    before, wrong_counts = count_settled(deployment), []
    try:
        with Traffic(deployment, clients=_NEW_CLIENTS, kept=_KEPT_CLIENTS, pace_s=PACE_S) as traffic:
            for replicas in (before + 1, before):
                traffic.wait_answered()
                begun_s = traffic.mark(f"scale to {replicas}")
                deployment.scale(replicas)
                found = _wait_instances(deployment, replicas)
                seatrial_facts[f"scaled_to_{replicas}_s"] = traffic.mark(f"{found} there") - begun_s
                if found != replicas:
                    wrong_counts.append(f"{replicas} instances were asked for, there is {found}")
                traffic.wait_answered()
    except BaseException:
        # What is asked next is not about instances.
        with contextlib.suppress(SeatrialError):
            deployment.scale(before)
        raise
    history = traffic.history
    seatrial_history("L09", history)
    seatrial_facts["kept_connections_lost"] = count_kept_lost(history)
    require_none(
        *wrong_counts,
        describe_requests("were answered wrong", find_wrong(history), history),
        describe_requests("failed", find_lost(history), history),
    )


def count_settled(deployment: Scales, *, settled_s: float = SETTLED_S) -> int:
    """Return how many instances there are when none is about to go any more, as after an update.

    Where there is one, it is the one that serves; of several the number has to hold for a while.
    """
    found, since_s = deployment.count_instances(), time.monotonic()
    deadline_s = since_s + GONE_WITHIN_S
    while found > 1 and time.monotonic() < min(since_s + settled_s, deadline_s):
        time.sleep(_POLL_S)
        now = deployment.count_instances()
        found, since_s = now, since_s if now == found else time.monotonic()
    return found


def _wait_instances(deployment: Scales, replicas: int) -> int:
    """Return how many instances there are, as soon as there are as many as that, or when they had the time to go."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while (found := deployment.count_instances()) != replicas and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return found


def _skip_forwarded(deployment: Deployment) -> None:
    """Skip where the way to the deployment ends with the one instance that it leads to: it is the way that would be asked."""
    if deployment.endpoint.path == "port-forward":
        pytest.skip("a forwarded port leads to one instance, and goes with it")


@contextlib.contextmanager
def _left_as(deployment: Deployment, model: ModelDirectory) -> Iterator[None]:
    """Serve a version again after the block, where it does not: what is asked next is not about updates."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(SeatrialError):
            deployment.update(model)
        raise
