"""Faults: a damaged model, a bad network; what goes wrong is told, and nothing that is wrong is taken for right."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.errors import DeploymentError, InfrastructureError, ModelError
from seatrial.model import ModelDirectory
from seatrial.plugin import find_session
from seatrial.target import Deployment
from seatrial.wire import Answer, Refusal, RefusalKind
from seatrial_suites.conformance.altered import Deploy, Turn
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.damage import Damaged, list_damaged
from seatrial_suites.conformance.refusing import Outcome, ask_whole, describe, is_right_answer, say_after
from seatrial_suites.conformance.toxics import Toxic, open_proxy

pytestmark = pytest.mark.conformance
PAUSE_S = 0.05
PATIENCE_S = 0.5
"""With an answer that never comes to its end."""


@check(
    "F05",
    "a damaged model does not get ready",
    needs={"model-directory"},
    profile="standard",
    sentence="A model whose artifact is cut off or lacks a file does not get ready, the reason names the file, and what is "
    "deployed besides serves on.",
    source=f"{PART_E}, F05",
    apart=True,
)
def test_damaged_model(
    request: pytest.FixtureRequest,
    seatrial_deployment: Deployment,
    seatrial_deploy: Deploy,
    seatrial_model: ModelDirectory,
    seatrial_turn: Turn,
    seatrial_facts: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Each damage is a deployment of its own, which takes long on some targets: all of them are tried out at night."""
    model = seatrial_model
    damaged = list_damaged(model, tmp_path)
    if not damaged:
        pytest.skip(f"the artifact of {model.name} has no file that could be damaged")
    at_night = find_session(request.config).settings.general.profile == "nightly"
    findings = Findings()
    for each in damaged if at_night else damaged[:1]:
        findings.judge(each.what, _deploy_damaged(seatrial_deploy, each))
    with seatrial_turn(), Client(seatrial_deployment.endpoint, model.manifest) as client:
        findings.judge("the one that serves", say_after(client, model))
    findings.conclude(seatrial_facts)


@check(
    "F02",
    "what a bad network does to an answer is noticed",
    level="SHOULD",
    profile="standard",
    sentence="An answer that comes late or in pieces is right; one that is cut off, reset or never goes on is seen to be no "
    "whole answer, and is never taken for one.",
    source=f"{PART_E}, F02; RFC 9112, 6.3 and 8",
)
def test_bad_network(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    if endpoint.address.startswith("https:"):
        pytest.skip("it is asked over TLS, which a proxy cannot be put into")
    outcome, size_bytes = _ask_through(seatrial_deployment, Toxic())
    clean = _say_of_right(outcome, model)
    assert not clean, f"through a proxy that does nothing, {clean}"
    assert size_bytes > 1, f"an answer of {size_bytes} bytes cannot be cut off"
    findings = Findings()
    for name, toxic in list_harmless(size_bytes).items():
        findings.judge(name, _say_of_right(_ask_through(seatrial_deployment, toxic)[0], model))
    for name, toxic in list_harmful(size_bytes).items():
        findings.judge(name, _say_of_broken(_ask_through(seatrial_deployment, toxic)[0], model))
    with Client(endpoint, model.manifest) as client:
        findings.judge("the next question, asked as ever", say_after(client, model))
    seatrial_facts["answer_bytes"] = size_bytes
    findings.conclude(seatrial_facts)


def list_harmless(size_bytes: int) -> dict[str, Toxic]:
    """Return what an answer of this size has to survive."""
    return {
        "late": Toxic(pause_s=PAUSE_S),
        "in slices of 3 bytes": Toxic(piece_bytes=3),
        "over a narrow way": Toxic(piece_bytes=size_bytes // 20 + 1, pause_s=PAUSE_S / 10),
    }


def list_harmful(size_bytes: int) -> dict[str, Toxic]:
    """Return what an answer of this size cannot survive."""
    half = size_bytes // 2
    return {
        "cut off after its first byte": Toxic(limit_bytes=1),
        "cut off in the middle": Toxic(limit_bytes=half),
        "cut off before its last byte": Toxic(limit_bytes=size_bytes - 1),
        "reset in the middle": Toxic(limit_bytes=half, ending="reset"),
        "silent from the middle on": Toxic(limit_bytes=half, ending="silence"),
    }


def _ask_through(deployment: Deployment, toxic: Toxic) -> tuple[Outcome, int]:
    """Ask the first golden case on a new connection; return what became of it, and the bytes of answers that came."""
    model = deployment.model
    timeout_s = PATIENCE_S if toxic.ending == "silence" else None
    with (
        open_proxy(deployment.endpoint, toxic) as proxy,
        Client(deployment.endpoint, model.manifest, via=proxy.endpoint) as client,
    ):
        return ask_whole(client, model.cases[0].inputs, timeout_s=timeout_s), proxy.passed_bytes


def _say_of_right(outcome: Outcome, model: ModelDirectory) -> str:
    if not isinstance(outcome, Answer):
        return f"it has no answer: {describe(outcome)}"
    return "" if is_right_answer(model, outcome) else "its answer is wrong"


def _say_of_broken(outcome: Outcome, model: ModelDirectory) -> str:
    """A right answer is whole in all that the wire needs of it; what is malformed was taken for whole."""
    if isinstance(outcome, Answer):
        return "" if is_right_answer(model, outcome) else "it was taken for a whole answer, which is wrong"
    if isinstance(outcome, Refusal) and outcome.kind is not RefusalKind.TRUNCATED:
        return f"that it is not whole cannot be told: {describe(outcome)}: {outcome.message}"
    return ""


def _deploy_damaged(deploy: Deploy, damaged: Damaged) -> str:
    """Return what is wrong with how it failed, or an empty string."""
    with ExitStack() as stack:
        try:
            stack.enter_context(deploy(damaged.model))
        except InfrastructureError:
            raise
        except (DeploymentError, ModelError) as error:
            named = Path(damaged.file).name in str(error)
            return "" if named else f"its reason does not name {damaged.file}:\n{error}"
        return f"it says that it is ready, though {damaged.file} is not whole"
