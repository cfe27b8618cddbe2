"""The wire over HTTP: methods, paths, content types, and how errors are said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.registry import find_wire
from seatrial.target import Deployment
from seatrial.wire import Answer, RawQuestion
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.broken import list_broken, make_body
from seatrial_suites.conformance.error_shapes import Judge, find_shape
from seatrial_suites.conformance.forms import list_forms, list_parameters
from seatrial_suites.conformance.misshapen import list_misshapen
from seatrial_suites.conformance.refusing import (
    OVER_HTTP,
    ask_raw,
    is_refused,
    is_right_answer,
    say_after,
    show_exchange,
)
from seatrial_suites.conformance.requesting import (
    JSON,
    Reply,
    find_question_path,
    leave_question_path,
    request,
    show_reply,
)

pytestmark = pytest.mark.conformance
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE")
_JSON = {"Content-Type": JSON}
# Beginnings of their names.
_SHAPED = ("a tensor missing", "a tensor by another name", "a dimension too many")
_NOBODY = "no-such-name"


@check(
    "C04",
    "other methods and other paths",
    profile="standard",
    sentence="Another method than POST on the path of questions gets 405 with the methods that are allowed, or 404; a path at "
    "which there is nothing gets 404.",
    source=f"{PART_E}, C04; RFC 9110, 15.5.5 and 15.5.6",
    wires=OVER_HTTP,
)
def test_methods_and_paths(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    findings = Findings()
    path, body = find_question_path(endpoint, model), make_body(endpoint, model)
    for method in METHODS:
        has_body = method in {"PUT", "PATCH"}
        asked = request(
            endpoint, method, path, headers=_JSON if has_body else {}, body=body if has_body else b"", signed=True
        )
        findings.judge(f"{method} of the question's path", _judge_refusal(asked, endpoint, {404, 405}))
    beside = leave_question_path(path)
    findings.judge(
        "POST beside the question's path",
        _judge_refusal(request(endpoint, "POST", beside, headers=_JSON, body=body, signed=True), endpoint, {404}),
    )
    nowhere = f"{beside.rpartition('/')[0]}/{_NOBODY}" if endpoint.credentials else f"/{_NOBODY}"
    findings.judge(
        "GET where there is nothing", _judge_refusal(request(endpoint, "GET", nowhere, signed=True), endpoint, {404})
    )
    with Client(endpoint, model.manifest) as client:
        findings.judge("a golden case after all that", say_after(client, model))
    findings.conclude(seatrial_facts)


@check(
    "C05",
    "declared content types are answered",
    profile="standard",
    sentence="Every content type and form of a question that the wire declares gets the right answer, in the content type that "
    "the wire declares.",
    source=f"{PART_E}, C05; mlflow.org/docs/latest, Inference Server Specification",
    wires=OVER_HTTP,
)
def test_declared_content_types(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    wanted = "text/event-stream" if find_wire(endpoint.wire).framing == "http-events" else "application/json"
    findings = Findings()
    with Client(endpoint, model.manifest) as client:
        for name, question in list_forms(endpoint, model).items():
            outcome = ask_raw(client, question)
            found = ""
            if not isinstance(outcome, Answer) or not is_right_answer(model, outcome):
                found = f"\n{show_exchange(client, endpoint, outcome)}"
            elif outcome.headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
                found = f"it is answered as {outcome.headers.get('content-type')!r}, not as {wanted}"
            findings.judge(name, found)
    findings.conclude(seatrial_facts)


@check(
    "C07",
    "errors have the wire's shape",
    profile="standard",
    sentence="What is refused is refused in the shape that the wire documents, under its content type.",
    source=f"{PART_E}, C07; Open Inference Protocol V2, Inference Response JSON Error Object; "
    "mlflow.org/docs/latest, MlflowException; docs.aws.amazon.com, API_runtime_InvokeEndpoint, Errors",
    wires=OVER_HTTP,
)
def test_error_shapes(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    shape = find_shape(endpoint)
    if shape is None:
        pytest.skip(f"no document says how {endpoint.wire} says an error here")
    findings = Findings()
    path = find_question_path(endpoint, model)
    misshapen = list_misshapen(endpoint, model)
    bodies = list_broken(endpoint, model) | {name: body for name, body in misshapen.items() if name.startswith(_SHAPED)}
    for name, body in bodies.items():
        findings.judge(name, _judge_error(_post(endpoint, path, body), endpoint, shape))
    nobody = dataclasses.replace(endpoint, name=_NOBODY)
    elsewhere = find_question_path(nobody, model)
    if elsewhere != path:
        asked = _post(endpoint, elsewhere, make_body(endpoint, model))
        findings.judge("a name that there is not", _judge_error(asked, endpoint, shape, must_refuse=True))
    findings.conclude(seatrial_facts)


@check(
    "R07",
    "parameters are taken or refused",
    profile="standard",
    sentence="Parameters that a model does not declare are left out of account or refused, an empty set of them changes nothing, "
    "and none is an error of the server.",
    source=f"{PART_E}, R07; mlflow.org/docs/latest, Inference Parameters",
)
def test_parameters(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    parameters = list_parameters(endpoint, model)
    if not parameters:
        pytest.skip(f"the wire {endpoint.wire} has no parameters")
    findings = Findings()
    with Client(endpoint, model.manifest) as client:
        for name, (body, allowed) in parameters.items():
            outcome = ask_raw(client, RawQuestion(body=body))
            is_right = isinstance(outcome, Answer) and is_right_answer(model, outcome)
            holds = (is_right and "answer" in allowed) or (is_refused(outcome, endpoint) and "refuse" in allowed)
            findings.judge(name, "" if holds else f"\n{show_exchange(client, endpoint, outcome)}")
        findings.judge("a golden case after all that", say_after(client, model))
    findings.conclude(seatrial_facts)


def _judge_refusal(asked: Reply, endpoint: Endpoint, statuses: set[int]) -> str:
    if asked.trouble or asked.status not in statuses:
        return f"\n{show_reply(endpoint, asked)}"
    if asked.status == 405 and "allow" not in asked.headers:
        return f"405 without Allow:\n{show_reply(endpoint, asked)}"
    return ""


def _post(endpoint: Endpoint, path: str, body: bytes) -> Reply:
    """Post a question; of an exchange in two steps, follow to the events."""
    asked = request(endpoint, "POST", path, headers=_JSON, body=body, signed=True)
    if not asked.is_success or find_wire(endpoint.wire).framing != "http-events":
        return asked
    try:
        event_id = asked.document["event_id"]
    except (KeyError, TypeError):
        return asked
    return request(endpoint, "GET", f"{path}/{event_id}", headers={"Accept": "text/event-stream"}, signed=True)


def _judge_error(asked: Reply, endpoint: Endpoint, shape: Judge, *, must_refuse: bool = False) -> str:
    """Return what is wrong with an error. That something is refused at all is another check's, but for `must_refuse`."""
    if asked.trouble:
        return f"\n{show_reply(endpoint, asked)}"
    told_by_event = asked.media_type == "text/event-stream" and b"event: error" in asked.body
    if asked.status < 300 and not told_by_event:
        return f"\n{show_reply(endpoint, asked)}" if must_refuse else ""
    if must_refuse and asked.status >= 500:
        return f"it is no error of the server's:\n{show_reply(endpoint, asked)}"
    wrong = shape(asked)
    return f"{wrong}:\n{show_reply(endpoint, asked)}" if wrong else ""
