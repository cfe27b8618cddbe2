"""Life: a deployment is updated, killed, stopped and brought back, and stays what it is. Asked last, for it disturbs."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from seatrial.checks import check
from seatrial.client import Client
from seatrial.errors import SeatrialError
from seatrial.history import History, HistoryRequest
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial_suites.conformance import lives
from seatrial_suites.conformance.asking import (
    PART_E,
    NoAnswer,
    ask,
    ask_cases,
    describe_wrong,
    is_told_apart,
)
from seatrial_suites.conformance.claims import read_claims
from seatrial_suites.conformance.histories import (
    count_in_flight,
    describe_requests,
    find_abandoned,
    find_dropped,
    find_failed_outside,
    find_lost,
    find_wrong,
    measure_recovery,
    require_none,
)
from seatrial_suites.conformance.traffic import KeepHistory, Traffic

pytestmark = pytest.mark.conformance
_READY_TIMEOUT_S = 180.0
# Network paths with nothing between client and server.
_DIRECT = frozenset({"loopback", "unix-socket"})
_CLIENTS = 8
_NEW_CLIENTS = 2
PACE_S = 0.05
"""From one question of a client to its next."""


@check(
    "R06",
    "an update answers as the new version, at the same address",
    needs={"update"},
    profile="standard",
    sentence="After an update every answer is the new version's, at the address that it had before; and so on the way back.",
    source=f"{PART_E}, R06 and L01",
    covers={"L01"},
)
def test_update_and_back(
    request: pytest.FixtureRequest,
    seatrial_deployment: Deployment,
    seatrial_models: tuple[ModelDirectory, ...],
    seatrial_target: str,
    seatrial_facts: dict[str, Any],
) -> None:
    """An update shows in answers that differ between the versions, or in the version that answers name."""
    if len(seatrial_models) < 2:
        pytest.skip(f"{seatrial_models[0].name} has one version")
    first, second = seatrial_models[:2]
    names_version = "version-in-answer" in read_claims(request, seatrial_target)
    if not names_version and not is_told_apart(first, second):
        pytest.skip("its versions answer alike, so an update cannot be seen")
    try:
        for version in (second, first):
            _update(seatrial_deployment, version, seatrial_facts, names_version=names_version)
    finally:
        # What is asked next is not about updates.
        if seatrial_deployment.model != first:
            with contextlib.suppress(SeatrialError):
                seatrial_deployment.update(first)
    downtime_s = seatrial_deployment.phases_s.get("update-downtime")
    if downtime_s is not None:
        seatrial_facts["update_downtime_s"] = downtime_s


@check(
    "L07",
    "killed, it comes back with the same answers",
    needs={"kill"},
    profile="standard",
    sentence="After SIGKILL and a restart, or by itself where the technology heals, every answer is right at the same address; "
    "no answer is ever wrong, and no question goes without one but from the kill until it is ready again.",
    source=f"{PART_E}, L07 and F01",
    covers={"F01"},
)
def test_kill_and_return(
    request: pytest.FixtureRequest,
    seatrial_deployment: Deployment,
    seatrial_target: str,
    seatrial_history: KeepHistory,
    seatrial_facts: dict[str, Any],
) -> None:
    """A kill that had no effect fails.

    What does not heal must not answer between kill and restart. What heals mostly shows a gap as well; where it does not,
    for it is back before a question is asked or other instances answer meanwhile, its log must show another start.
    """
    model, before = seatrial_deployment.model, seatrial_deployment.endpoint
    heals = "self-heal" in read_claims(request, seatrial_target)
    silence = lives.Silence(seatrial_deployment)
    starts = lives.StartLines(seatrial_deployment) if heals else None
    with Traffic(seatrial_deployment, clients=_NEW_CLIENTS, kept=_NEW_CLIENTS, pace_s=PACE_S) as traffic:
        traffic.wait_answered()
        kill_s = traffic.mark("kill")
        seatrial_deployment.kill()
        killed_s = traffic.mark("killed")
        is_silent = silence.wait()
        seatrial_facts.update(healed_by_itself=heals, outage_seen=is_silent)
        begun_s = kill_s
        if starts is None:
            assert is_silent, "killed, and not restarted, it still answers"
            begun_s = traffic.mark("restart") - (killed_s - kill_s)
            seatrial_deployment.restart()
        seatrial_deployment.wait_ready(_READY_TIMEOUT_S)
        ready_s = traffic.mark("ready")
        # What is not answered is in the history.
        with contextlib.suppress(AssertionError):
            traffic.wait_answered()
    history = traffic.history
    seatrial_history("L07", history)
    if starts is None or is_silent:
        seatrial_facts["recovery_s"] = ready_s - begun_s
    else:
        assert starts.wait_again(), "killed, it answered all the time, and its log shows no other start"
    seatrial_facts.update(asked=len(history.requests), answers_again_s=measure_recovery(history, kill_s))
    assert seatrial_deployment.endpoint == before, f"the endpoint is {seatrial_deployment.endpoint}, it was {before}"
    wrong = ask_cases(seatrial_deployment, model, seatrial_facts)
    assert not wrong, describe_wrong(wrong, model)
    require_none(
        describe_requests("were answered wrong", find_wrong(history), history),
        describe_requests("failed before the kill or after the return", _find_lost(history, kill_s, ready_s), history),
    )


@check(
    "O03",
    "resources are measured",
    needs={"usage"},
    profile="standard",
    sentence="CPU seconds and memory of the deployment are known, and grow with work.",
    source=f"{PART_E}, O03",
    answers="any",
)
def test_usage(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    before = seatrial_deployment.measure_usage()
    deadline_s = time.monotonic() + lives.USAGE_WAIT_S
    # Counters tick, or are sampled: what one round of cases uses may show late or not at all.
    while True:
        ask_cases(seatrial_deployment, seatrial_deployment.model, {})
        after = seatrial_deployment.measure_usage()
        if before.cpu_s is None or after.cpu_s is None or after.cpu_s > before.cpu_s or time.monotonic() > deadline_s:
            break
    seatrial_facts.update(cpu_s=after.cpu_s, memory_bytes=after.memory_bytes, memory_peak_bytes=after.memory_peak_bytes)
    assert after.memory_bytes is not None, "its memory is not known, though it claims usage"
    assert after.memory_bytes > 1 << 20, f"{after.memory_bytes} bytes is less than any Python process has"
    assert after.cpu_s is not None, "its CPU time is not known, though it claims usage"
    assert before.cpu_s is not None, "its CPU time is not known, though it claims usage"
    assert after.cpu_s > before.cpu_s, f"CPU time stayed at {after.cpu_s} s while golden cases were answered"


@check(
    "O04",
    "limits hold inside",
    needs={"limits"},
    sentence="The CPU and memory limits that the model asks for are those that the deployment sees from inside.",
    source="seatrial's README, What is compared",
    answers="any",
)
def test_limits(
    seatrial_deployment: Deployment, seatrial_model: ModelDirectory, seatrial_facts: dict[str, Any]
) -> None:
    limits = seatrial_deployment.read_limits()
    wanted = seatrial_model.manifest.resources
    unlimited = limits.memory_bytes is None and (limits.cpus is None or limits.cpu_set is not None)
    if unlimited and "limits" in seatrial_deployment.fidelity.absent:
        pytest.skip("this deployment runs without a container, so nothing can be limited")
    seatrial_facts.update(cpus=limits.cpus, memory_bytes=limits.memory_bytes)
    assert limits.cpus == pytest.approx(wanted.cpus, abs=0.01), f"{limits.cpus} CPUs, {wanted.cpus} were asked for"
    assert limits.memory_bytes == wanted.memory_bytes, (
        f"{limits.memory_bytes} bytes, {wanted.memory_bytes} were asked for"
    )


@check(
    "L03",
    "stopped under load, it answers what it was sent and goes",
    needs={"drain"},
    profile="standard",
    sentence="On SIGTERM, every question sent before is answered right, later ones are answered, refused or closed, and the "
    "deployment ends by itself within the grace time; started again, it answers right.",
    source=f"{PART_E}, L03",
)
def test_stop_and_return(
    seatrial_deployment: Deployment, seatrial_history: KeepHistory, seatrial_facts: dict[str, Any]
) -> None:
    """Clients that ask again as soon as they are answered have a question under way at any time.

    A stop that had no effect fails: between stop and restart nothing may answer. What is sent after the stop and left hanging is
    the server's doing where nothing lies between; a service or a published port that has lost its last instance loses it too.
    """
    model, silence = seatrial_deployment.model, lives.Silence(seatrial_deployment)
    with Traffic(seatrial_deployment, kept=_CLIENTS) as traffic:
        traffic.wait_answered()
        called_at_s = time.monotonic()
        report = seatrial_deployment.stop(lives.GRACE_S)
        stop_s = traffic.mark("stop", report.asked_at_s or called_at_s)
        traffic.mark("stopped")
    history = traffic.history
    seatrial_history("L03", history)
    abandoned = find_abandoned(history, stop_s)
    is_direct = seatrial_deployment.endpoint.path in _DIRECT
    seatrial_facts.update(
        stopped_s=report.stopped_s,
        graceful=report.graceful,
        exit_code=report.exit_code,
        in_flight=count_in_flight(history, stop_s),
        left_hanging=len(abandoned),
    )
    assert silence.wait(), "stopped, and not restarted, it still answers"
    seatrial_deployment.restart()
    seatrial_deployment.wait_ready(_READY_TIMEOUT_S)
    wrong = ask_cases(seatrial_deployment, model, seatrial_facts)
    assert report.graceful, f"it had to be killed after {lives.GRACE_S:g} s"
    require_none(
        describe_requests("were answered wrong", find_wrong(history), history),
        describe_requests("were sent before the stop and not answered", find_dropped(history, stop_s), history),
        describe_requests("were sent after the stop and left without an end", abandoned if is_direct else [], history),
    )
    assert not wrong, describe_wrong(wrong, model)


def _find_lost(history: History, kill_s: float, ready_s: float) -> list[HistoryRequest]:
    """Failed requests outside of the outage, but for those that went with a connection that was kept over it."""
    outside = find_failed_outside(history, kill_s, ready_s)
    return [each for each in find_lost(history) if each in outside]


def _update(deployment: Deployment, version: ModelDirectory, facts: dict[str, Any], *, names_version: bool) -> None:
    before = deployment.endpoint
    began_s = time.perf_counter()
    deployment.update(version)
    facts[f"update_to_{version.version}_s"] = time.perf_counter() - began_s
    assert deployment.endpoint == before, f"the endpoint is {deployment.endpoint}, it was {before}"
    wrong = ask_cases(deployment, version, facts)
    assert not wrong, describe_wrong(wrong, version)
    _assert_version(deployment, version, names_version=names_version)


def _assert_version(deployment: Deployment, model: ModelDirectory, *, names_version: bool) -> None:
    """An answer that names its version must name the right one; only where that is not claimed may it name none."""
    with Client(deployment.endpoint, model.manifest) as client:
        outcome = ask(client, model.cases[0].inputs)
    assert not isinstance(outcome, NoAnswer), outcome.message
    allowed = {model.version} if names_version else {"", model.version}
    assert outcome.model_version in allowed, f"the answer says version {outcome.model_version!r}, not {model.version!r}"
