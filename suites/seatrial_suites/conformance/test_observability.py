"""Observability: what went wrong is in the log, and what was asked is counted."""

from __future__ import annotations

import dataclasses
import http.client
import secrets
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import RawQuestion, Refusal
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.counters import PATH, read_samples
from seatrial_suites.conformance.logs import REQUEST_ID, NewLines, list_signs
from seatrial_suites.conformance.refusing import ask_raw

pytestmark = pytest.mark.conformance
QUESTIONS = 7
"""So many that no probe of an orchestrator comes as often meanwhile."""
_SHOWN_LINES = 5


@check(
    "O01",
    "the log tells of an error",
    level="SHOULD",
    needs={"logs"},
    profile="standard",
    sentence="When a question is refused, the log that can be read of the deployment has a line about it: with the request's id "
    "where the server sends that back, else with path and status, or the error.",
    source=f"{PART_E}, O01",
)
def test_errors_are_logged(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    findings = Findings()
    for name, body in _list_refused(seatrial_deployment).items():
        said = _say_of_log(seatrial_deployment, body)
        if said is not None:
            findings.judge(name, said)
    findings.conclude(seatrial_facts)


@check(
    "O02",
    "questions are counted",
    level="MAY",
    needs={"metrics"},
    profile="standard",
    sentence=f"GET {PATH} gives counters in Prometheus' text format, one of which grows by just as many as were asked.",
    source=f"{PART_E}, O02; prometheus.io/docs/instrumenting/exposition_formats",
)
def test_questions_are_counted(
    seatrial_deployment: Deployment, seatrial_model: ModelDirectory, seatrial_facts: dict[str, Any]
) -> None:
    endpoint = seatrial_deployment.endpoint
    if not endpoint.address.startswith("http:"):
        pytest.skip(f"its page is asked over plain HTTP, and its address is {endpoint.address}")
    try:
        before = read_samples(endpoint)
        with Client(endpoint, seatrial_deployment.model.manifest) as client:
            for _ in range(QUESTIONS):
                outcome = ask(client, seatrial_model.cases[0].inputs)
                assert not isinstance(outcome, NoAnswer), outcome.message
        after = read_samples(endpoint)
    except (OSError, http.client.HTTPException, ValueError) as error:
        pytest.fail(f"it claims metrics, but GET {PATH} does not give them: {type(error).__name__}: {error}")
    grown = {name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)}
    counting = [name for name, growth in grown.items() if growth == QUESTIONS]
    seatrial_facts.update(questions=QUESTIONS, counters=counting)
    assert counting, f"no counter grew by {QUESTIONS}, as many as were asked; these grew: {grown}"


def _list_refused(deployment: Deployment) -> dict[str, bytes]:
    """Questions that the server's own reading refuses, and that the model's signature does."""
    model = deployment.model
    name = model.manifest.inputs[0].name
    misnamed = make_body(deployment.endpoint, model).replace(f'"{name}"'.encode(), b'"no_such_input"')
    return {"a body that is no JSON": b"question", "an input that the model does not have": misnamed}


def _say_of_log(deployment: Deployment, body: bytes) -> str | None:
    """Return what the log lacks; None when the question was not refused, for whether it should be is B01's and B03's to say."""
    request_id = f"seatrial-{secrets.token_hex(8)}"
    endpoint = dataclasses.replace(deployment.endpoint, headers={**deployment.endpoint.headers, REQUEST_ID: request_id})
    lines = NewLines(deployment)
    with Client(endpoint, deployment.model.manifest) as client:
        outcome = ask_raw(client, RawQuestion(body=body))
        if not isinstance(outcome, Refusal):
            return None
        what, is_about_it = list_signs(outcome, client.sent, client.received, request_id)
    if lines.wait_for(is_about_it):
        return ""
    new = "\n".join(f"  {line}" for line in lines.read()[:_SHOWN_LINES]) or "  (nothing)"
    return f"nothing about it in its log, which should have {what}; it wrote:\n{new}"
