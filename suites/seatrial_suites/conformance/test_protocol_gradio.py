"""Gradio's HTTP API, asked of every endpoint that speaks it, whichever of its two ways the wire goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wires.gradio import read_data, read_events
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.requesting import JSON, Reply, locate, request, require_wire, show_reply

pytestmark = pytest.mark.conformance
SOURCE = "gradio.app/guides/querying-gradio-apps-with-curl"
_API = "/gradio_api"
_EVENTS = frozenset({"generating", "complete", "error", "heartbeat"})
_NOBODY = "no-such-function"


@check(
    "C14",
    "Gradio: a call gives an event id, and its stream the result",
    profile="standard",
    sentence="POST call/NAME gives an event id, and GET call/NAME/EVENT_ID an event stream that ends with `complete` and a "
    "list of the outputs, or with `error` where the function cannot answer.",
    source=f"{SOURCE}, Step 1 and Step 2",
    wires={"gradio-run", "gradio-call"},
)
def test_call(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    begun, stream = _call(endpoint, make_body(endpoint, model))
    findings.judge("the event id", "" if stream else f"\n{show_reply(endpoint, begun)}")
    if stream:
        findings.judge("the stream", _judge_stream(endpoint, stream))
        findings.judge("the result", _judge_result(endpoint, model, stream))
    begun, stream = _call(endpoint, b'{"data": [{"no-such-input": []}]}')
    is_told = begun.is_refusal or (stream is not None and [kind for kind, _ in _read(stream)][-1:] == ["error"])
    findings.judge("what cannot be answered", "" if is_told else f"\n{show_reply(endpoint, stream or begun)}")
    findings.conclude(seatrial_facts)


@check(
    "C15",
    "Gradio: a run answers at once",
    level="SHOULD",
    profile="standard",
    sentence="POST run/NAME is answered with a JSON object whose `data` is the list of the outputs, and with a status of 4xx or "
    "5xx where the function cannot answer.",
    source="gradio/routes.py, POST /run/{api_name}, which no guide describes",
    wires={"gradio-run", "gradio-call"},
)
def test_run(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    reply = _post(endpoint, f"run/{endpoint.name}", make_body(endpoint, model))
    document = reply.document if reply.is_success else None
    data = document.get("data") if isinstance(document, dict) else None
    findings.judge("the result", _judge_data(endpoint, model, reply, data))
    right = reply.media_type == JSON
    findings.judge("the content type", "" if right else f"\n{show_reply(endpoint, reply)}")
    reply = _post(endpoint, f"run/{endpoint.name}", b'{"data": [{"no-such-input": []}]}')
    is_told = reply.status >= 400 and not reply.trouble
    findings.judge("what cannot be answered", "" if is_told else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


@check(
    "C16",
    "Gradio: an app describes its functions",
    profile="standard",
    sentence="GET info names the function with its parameters and returns, GET openapi.json is an OpenAPI document with a "
    "path for it, and GET /config is JSON.",
    source="gradio.app/guides/view-api-page; gradio.app/docs/python-client, view_api",
    wires={"gradio-run", "gradio-call"},
)
def test_description(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, _ = _open(seatrial_deployment)
    findings = Findings()
    reply = request(endpoint, "GET", locate(endpoint, f"{_API}/info"))
    named = _get_object(_get_object(reply, "named_endpoints"), f"/{endpoint.name}")
    right = all(isinstance(named.get(key), list) and named[key] for key in ("parameters", "returns"))
    findings.judge("info", "" if right else f"\n{show_reply(endpoint, reply)}")
    reply = request(endpoint, "GET", locate(endpoint, f"{_API}/openapi.json"))
    paths = _get_object(reply, "paths")
    right = "openapi" in (reply.document or {}) and any(
        path.rstrip("/").endswith(f"/{endpoint.name}") for path in paths
    )
    findings.judge("openapi.json", "" if right else f"\n{show_reply(endpoint, reply)}")
    reply = request(endpoint, "GET", locate(endpoint, "/config"))
    right = reply.is_success and isinstance(reply.document, dict)
    findings.judge("config", "" if right else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


@check(
    "C17",
    "Gradio: a name that is not known is not found",
    profile="standard",
    sentence="A function or event that there is not is refused with a status of 4xx, an event also by an `error` event; the "
    "response is whole.",
    source="RFC 9110, 15.5.5, and RFC 9112, 7.1",
    wires={"gradio-run", "gradio-call"},
)
def test_unknown_names(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    body = make_body(endpoint, model)
    for route in ("call", "run"):
        reply = _post(endpoint, f"{route}/{_NOBODY}", body)
        findings.judge(
            f"{route} of an unknown function", "" if reply.is_refusal else f"\n{show_reply(endpoint, reply)}"
        )
    reply = _follow(endpoint, "0123456789abcdef0123456789abcdef")
    is_told = [kind for kind, _ in _read(reply)][-1:] == ["error"] and not reply.trouble
    findings.judge("an unknown event", "" if is_told or reply.is_refusal else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


def _open(deployment: Deployment) -> tuple[Endpoint, ModelDirectory]:
    require_wire(deployment.endpoint, "gradio-run", "gradio-call")
    return deployment.endpoint, deployment.model


def _post(endpoint: Endpoint, route: str, body: bytes) -> Reply:
    return request(endpoint, "POST", locate(endpoint, f"{_API}/{route}"), headers={"Content-Type": JSON}, body=body)


def _call(endpoint: Endpoint, body: bytes) -> tuple[Reply, Reply | None]:
    """Return the responses to both steps; no second where the first gives no event id."""
    begun = _post(endpoint, f"call/{endpoint.name}", body)
    document = begun.document if begun.is_success else None
    event_id = document.get("event_id") if isinstance(document, dict) else None
    return begun, _follow(endpoint, event_id) if isinstance(event_id, str) and event_id else None


def _follow(endpoint: Endpoint, event_id: str) -> Reply:
    target = locate(endpoint, f"{_API}/call/{endpoint.name}/{event_id}")
    return request(endpoint, "GET", target, headers={"Accept": "text/event-stream"})


def _read(stream: Reply) -> list[tuple[str, bytes]]:
    return read_events(stream.body) if stream.is_success and stream.media_type == "text/event-stream" else []


def _judge_stream(endpoint: Endpoint, stream: Reply) -> str:
    kinds = [kind for kind, _ in _read(stream)]
    right = kinds[-1:] == ["complete"] and kinds.count("complete") == 1 and set(kinds) <= _EVENTS
    return "" if right else f"its events are {kinds}, declared as {stream.media_type}\n{show_reply(endpoint, stream)}"


def _judge_result(endpoint: Endpoint, model: ModelDirectory, stream: Reply) -> str:
    text = next((text for kind, text in _read(stream) if kind == "complete"), b"")
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return _judge_data(endpoint, model, stream, data)


def _judge_data(endpoint: Endpoint, model: ModelDirectory, reply: Reply, data: Any) -> str:
    """Return what is wrong with the answer to the first golden case, or an empty string."""
    try:
        outputs, _ = read_data(data, model.manifest)
    except (ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}\n{show_reply(endpoint, reply)}"
    found = compare(model.cases[0].outputs, outputs, model.manifest)
    return "" if found.right else f"{found.message}\n{show_reply(endpoint, reply)}"


def _get_object(given: Reply | dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under a key; an empty one where there is none."""
    document = given.document if isinstance(given, Reply) else given
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
