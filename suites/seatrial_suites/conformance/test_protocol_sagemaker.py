"""SageMaker's container contract, asked of the container where the endpoint is one, else through InvokeEndpoint what shows there.

An endpoint with credentials is the runtime API in front of containers; one without is a container, or a server that keeps
its contract besides another protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.looking import ShowsModelPlace
from seatrial.model import MANIFEST_NAME, ModelDirectory, hash_file
from seatrial.target import Deployment, find_endpoint
from seatrial.wires.json_exchange import unnest
from seatrial.wires.sagemaker import sign_request
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.requesting import JSON, Reply, locate, request, show_reply

pytestmark = pytest.mark.conformance
SOURCE = "Amazon SageMaker Developer Guide, Use Your Own Inference Code with Hosting Services"
_INVOKE = "Amazon SageMaker API Reference, InvokeEndpoint"
PING_TIMEOUT_S = 2.0
"""After which SageMaker counts a health check as failed."""
_PINGS = 5
MODEL_PATH = "/opt/ml/model"
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_OTHERS = {
    "a header of nobody's": {"X-Seatrial-Unknown": "1"},
    "headers of a proxy": {
        "X-Forwarded-For": "192.0.2.1",
        "Via": "1.1 proxy",
        "X-Amzn-Trace-Id": "Root=1-67891233-abcdef",
    },
    "an inference id": {"X-Amzn-SageMaker-Inference-Id": "seatrial-42"},
}
_ACCEPTED = ("application/json", "*/*", "image/png, application/json;q=0.5")


@check(
    "C06a",
    "SageMaker: headers that are not known are ignored",
    profile="standard",
    sentence="Headers that SageMaker or a proxy adds do not change the answer.",
    source=f"{SOURCE}, How Your Container Should Respond to Inference Requests",
    covers={"C06"},
)
def test_other_headers(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    for case, headers in _OTHERS.items():
        findings.judge(case, _judge(endpoint, model, _invoke(endpoint, model, headers)))
    findings.conclude(seatrial_facts)


@check(
    "C06b",
    "SageMaker: custom attributes come back",
    level="SHOULD",
    profile="standard",
    sentence="Custom attributes of up to 1024 characters that came with a question come back with its answer, unchanged, and "
    "with no other answer.",
    source=f"{_INVOKE}, CustomAttributes: setting them in the response is up to the container",
)
def test_custom_attributes(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    sent = {"a few": "trace=42; a,b", "1024 characters": "x" * 1024, "none": ""}
    for case, attributes in sent.items():
        reply = _invoke(endpoint, model, {_ATTRIBUTES: attributes} if attributes else {})
        got = reply.headers.get(_ATTRIBUTES.lower(), "")
        what = _judge(endpoint, model, reply)
        if not what and got != attributes:
            what = f"{got[:40]!r} came back\n{show_reply(endpoint, reply)}"
        findings.judge(case, what)
    findings.conclude(seatrial_facts)


@check(
    "C06c",
    "SageMaker: the answer is of a type that was asked for",
    level="SHOULD",
    profile="standard",
    sentence="An answer has a content type that Accept allows and that is its own, or there is a refusal.",
    source=f"{_INVOKE}, Accept; RFC 9110, 12.5.1",
)
def test_accept(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    for accept in _ACCEPTED:
        reply = _invoke(endpoint, model, {"Accept": accept})
        what = _judge(endpoint, model, reply)
        if not what and reply.media_type != JSON:
            what = f"it is declared as {reply.media_type or 'nothing'}\n{show_reply(endpoint, reply)}"
        findings.judge(accept, what)
    reply = _invoke(endpoint, model, {"Accept": "image/png"})
    findings.judge("image/png", "" if reply.is_refusal else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


@check(
    "C09",
    "SageMaker: the model lies read-only where the contract has it",
    needs={"model-place"},
    profile="standard",
    sentence=f"In the container the files of the model lie below {MODEL_PATH} as they were packed, and "
    "nothing can be written there.",
    source=f"{PART_E}, C09; {SOURCE}, How SageMaker Loads Your Model Artifacts: the directory is read-only",
    answers="any",
)
def test_model_place(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    model = seatrial_deployment.model
    assert isinstance(seatrial_deployment, ShowsModelPlace), "it claims model-place, and does not show it"
    place = seatrial_deployment.read_model_place()
    seatrial_facts.update(path=place.path, files=len(place.files), is_writable=place.is_writable)
    findings = Findings()
    findings.judge("its place", "" if place.path == MODEL_PATH else f"it lies at {place.path}")
    packed = {**model.manifest.files, MANIFEST_NAME: hash_file(model.path / MANIFEST_NAME)}
    for name, digest in packed.items():
        found = place.files.get(name)
        told = (
            f"{name} is not there" if found is None else f"{name} is another: SHA-256 {found[:12]}…, not {digest[:12]}…"
        )
        findings.judge(name, "" if found == digest else told)
    findings.judge("writing", f"{place.path} can be written to" if place.is_writable else "")
    findings.conclude(seatrial_facts)


@check(
    "C10",
    "SageMaker: the container answers /ping and /invocations",
    profile="standard",
    sentence="GET /ping is answered with status 200 within 2 s, whatever the body, each time that it is asked, and POST "
    "/invocations with the model's answer.",
    source=f"{SOURCE}, How Your Container Should Respond to Health Check (Ping) Requests",
)
def test_container(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    if endpoint.credentials:
        pytest.skip("the container is behind SageMaker's runtime, which asks /ping itself")
    findings = Findings()
    slowest_s = 0.0
    for number in range(1, _PINGS + 1):
        reply = request(endpoint, "GET", locate(endpoint, "/ping"), timeout_s=PING_TIMEOUT_S)
        slowest_s = max(slowest_s, reply.took_s)
        right = reply.status == 200 and not reply.trouble
        findings.judge(f"/ping, time {number}", "" if right else f"\n{show_reply(endpoint, reply)}")
    findings.judge("/invocations", _judge(endpoint, model, _invoke(endpoint, model, {})))
    seatrial_facts["slowest_ping_s"] = slowest_s
    findings.conclude(seatrial_facts)


def _open(deployment: Deployment) -> tuple[Endpoint, ModelDirectory]:
    endpoint = find_endpoint(deployment, "sagemaker")
    if endpoint is None:
        pytest.skip(f"it is asked of sagemaker, and this endpoint speaks {deployment.endpoint.wire}")
    return endpoint, deployment.model


def _invoke(endpoint: Endpoint, model: ModelDirectory, headers: Mapping[str, str]) -> Reply:
    path = f"/endpoints/{endpoint.name}/invocations" if endpoint.credentials else "/invocations"
    body, target = make_body(endpoint, model), locate(endpoint, path)
    headers = {"Content-Type": JSON, **headers}
    if endpoint.credentials:
        headers = sign_request(endpoint.credentials, endpoint.address + path, headers, body)
    return request(endpoint, "POST", target, headers=headers, body=body)


def _judge(endpoint: Endpoint, model: ModelDirectory, reply: Reply) -> str:
    """Return what is wrong with the answer to the first golden case, or an empty string."""
    if not reply.is_success:
        return f"\n{show_reply(endpoint, reply)}"
    try:
        found = compare(model.cases[0].outputs, unnest(reply.document["outputs"], model.manifest), model.manifest)
    except (ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}\n{show_reply(endpoint, reply)}"
    return "" if found.right else f"{found.message}\n{show_reply(endpoint, reply)}"
