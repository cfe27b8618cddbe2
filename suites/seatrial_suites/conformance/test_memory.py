"""Memory: a model that takes more than its limit does not get it, and takes nobody else along."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from seatrial.checks import check
from seatrial.client import Client
from seatrial.comparison import compare
from seatrial.errors import DeploymentError, InfrastructureError
from seatrial.model import Case, ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import Answer, Refusal, RefusalKind
from seatrial_suites.conformance import lives
from seatrial_suites.conformance.altered import Deploy, Turn, copy_greedy
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask_cases, describe_wrong, have_same_inputs
from seatrial_suites.conformance.claims import read_claims
from seatrial_suites.conformance.histories import describe_requests, find_failed, find_wrong, require_none
from seatrial_suites.conformance.refusing import Outcome, ask_whole, describe, is_right_answer
from seatrial_suites.conformance.traffic import KeepHistory, Traffic

pytestmark = pytest.mark.conformance
TIMES_LIMIT = 1.25
"""What is asked for: surely over the limit, for what the server has counts too, and not far, for there may be no limit."""
GREEDY_TIMEOUT_S = 60.0
RECOVERY_WAIT_S = 120.0
"""From the end of the question on, where it heals: one start, and the pause that a technology makes before it."""
_CLIENTS = 4
_PACE_S = 0.05
_READY_TIMEOUT_S = 180.0
_POLL_S = 0.1
_LEAST_TIMEOUT_S = 1.0
"""The last question gets it too: what it says is what is told."""


@check(
    "F03",
    "over its memory limit it fails alone, and comes back",
    level="SHOULD",
    needs={"limits", "model-directory"},
    profile="standard",
    sentence="A question for which the model takes more memory than its limit has no answer; after it, by itself where the "
    "technology heals, every golden case is answered right, and what is deployed besides answers right all the while.",
    source=f"{PART_E}, F03; Kubernetes documentation, Assign Memory Resources to Containers and Pods; Docker documentation, "
    "Resource constraints",
    apart=True,
)
def test_over_memory_limit(
    request: pytest.FixtureRequest,
    seatrial_deployment: Deployment,
    seatrial_deploy: Deploy,
    seatrial_model: ModelDirectory,
    seatrial_turn: Turn,
    seatrial_target: str,
    seatrial_history: KeepHistory,
    seatrial_facts: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Who is asked is a copy of the model, deployed besides. It may die of it, or refuse and live on: both keep the limit."""
    model = seatrial_model
    with seatrial_turn():
        limit_bytes, case = find_limit(seatrial_deployment), find_case(model)
    asked_bytes = round(TIMES_LIMIT * limit_bytes)
    require_room(asked_bytes)
    heals = "self-heal" in read_claims(request, seatrial_target)
    seatrial_facts.update(limit_bytes=limit_bytes, asked_bytes=asked_bytes, healed_by_itself=heals)
    greedy = copy_greedy(model, tmp_path / "greedy", case, asked_bytes)
    with seatrial_deploy(greedy) as deployment:
        _require_alike(deployment, limit_bytes)
        starts = lives.StartLines(deployment) if heals else None
        with seatrial_turn(), Traffic(seatrial_deployment, clients=_CLIENTS, pace_s=_PACE_S) as traffic:
            traffic.wait_answered()
            asked_s = traffic.mark("asked for too much")
            outcome = ask_for_too_much(deployment, model, case)
            ended_s = traffic.mark("ended")
            lost = _recover(deployment, heals=heals)
            recovered_s = traffic.mark("lost" if lost else "answers again")
            # What is not answered is in the history.
            with contextlib.suppress(AssertionError):
                traffic.wait_answered()
        history = traffic.history
        seatrial_history("F03", history)
        seatrial_facts.update(
            ended=describe(outcome), ended_after_s=ended_s - asked_s, recovery_s=recovered_s - ended_s
        )
        if starts is not None and not lost:
            seatrial_facts["started_again"] = starts.wait_again()
            # Other instances may have answered while it started.
            lost = _recover(deployment, heals=heals)
        wrong = [] if lost else ask_cases(deployment, greedy, seatrial_facts)
    require_none(
        _say_of_end(outcome, model, asked_bytes),
        f"after it, {lost}" if lost else "",
        f"after it, {describe_wrong(wrong, greedy)}" if wrong else "",
        describe_requests("to what is deployed besides were answered wrong", find_wrong(history), history),
        describe_requests("to what is deployed besides failed", find_failed(history), history),
    )


def find_limit(deployment: Deployment) -> int:
    """Return how many bytes it may have; skip where nothing limits them, or nobody can tell."""
    limits = deployment.read_limits()
    if limits.memory_bytes is None:
        pytest.skip(
            "nothing limits the memory of this deployment"
            if limits.is_known
            else "nobody can tell whether the memory of this deployment is limited"
        )
    return limits.memory_bytes


def find_case(model: ModelDirectory) -> Case:
    """Return a golden case that asks and is answered otherwise than the first."""
    first = model.cases[0]
    for case in model.cases[1:]:
        # One with a NaN in it is not equal to itself.
        is_seen = have_same_inputs(case, case) and not have_same_inputs(case, first)
        if is_seen and not compare(first.outputs, case.outputs, model.manifest).right:
            return case
    pytest.skip(
        f"no golden case of {model.name} can be told apart from the first, by what it asks and how it is answered"
    )


def require_room(asked_bytes: int) -> None:
    """Skip where a limit that does not hold would take from other programs of this machine."""
    available_bytes = psutil.virtual_memory().available
    if available_bytes < asked_bytes:
        pytest.skip(
            f"it takes {asked_bytes} bytes to get beyond the limit, and this machine has {available_bytes} to spare"
        )


def _require_alike(deployment: Deployment, limit_bytes: int) -> None:
    """Raise AssertionError unless a copy of the model is limited as the model is, and answers right."""
    found_bytes = deployment.read_limits().memory_bytes
    assert found_bytes == limit_bytes, f"the copy besides is limited to {found_bytes} bytes, not {limit_bytes}"
    wrong = ask_cases(deployment, deployment.model, {})
    assert not wrong, describe_wrong(wrong, deployment.model)


def ask_for_too_much(deployment: Deployment, model: ModelDirectory, case: Case) -> Outcome:
    """Ask for too much, once: on a connection that is kept, a question that had no answer would be asked again."""
    with Client(deployment.endpoint, model.manifest, keep_alive=False) as client:
        outcome = ask_whole(client, case.inputs, timeout_s=GREEDY_TIMEOUT_S)
    if isinstance(outcome, Answer) and compare(case.outputs, outcome.outputs, model.manifest).right:
        pytest.skip("the model's code does not see the question as it was asked, and so takes no memory for it")
    return outcome


def _recover(deployment: Deployment, *, heals: bool) -> str:
    """Wait until it answers right, and start it again where nobody else does; return what is wrong when it does not.

    That it is said to be ready means little at first: its end may not have been noticed.
    """
    model, deadline_s = deployment.model, time.monotonic() + RECOVERY_WAIT_S
    while True:
        left_s = max(_LEAST_TIMEOUT_S, deadline_s - time.monotonic())
        said = dead = _say_of_readiness(deployment, left_s)
        if not dead:
            with Client(deployment.endpoint, model.manifest, keep_alive=False) as client:
                outcome = ask_whole(client, model.cases[0].inputs, timeout_s=left_s)
            if isinstance(outcome, Answer):
                return "" if is_right_answer(model, outcome) else f"{model.cases[0].name} is answered wrong"
            said = describe(outcome)
        if time.monotonic() > deadline_s:
            return f"it does not come back within {RECOVERY_WAIT_S:g} s: {said}"
        if dead and not heals:
            deployment.restart()
            deployment.wait_ready(_READY_TIMEOUT_S)
        else:
            time.sleep(_POLL_S)


def _say_of_readiness(deployment: Deployment, timeout_s: float) -> str:
    """Return why it is not ready, or an empty string."""
    try:
        deployment.wait_ready(timeout_s)
    except InfrastructureError:
        raise
    except DeploymentError as error:
        return error.message
    return ""


def _say_of_end(outcome: Outcome, model: ModelDirectory, asked_bytes: int) -> str:
    """A refusal keeps the limit, and so does a connection that breaks."""
    if isinstance(outcome, Answer):
        if is_right_answer(model, outcome):
            return f"its limit does not hold: the model took {asked_bytes} bytes of memory and answered"
        return "the question for too much memory has an answer that the model did not give"
    if isinstance(outcome, NoAnswer) and outcome.timed_out:
        return f"the question for too much memory was left without an end: {outcome.message}"
    if isinstance(outcome, Refusal) and outcome.kind is RefusalKind.MALFORMED:
        return f"the question for too much memory was answered with nonsense: {outcome.message}"
    return ""
