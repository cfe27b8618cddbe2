"""How each wire says an error over HTTP, as its documentation has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from seatrial.endpoint import Endpoint
from seatrial.wires.gradio import read_events
from seatrial_suites.conformance.requesting import Reply

Judge = Callable[[Reply], str]
_JSON = frozenset({"application/json"})
# What AWS calls its JSON, besides.
_AWS_JSON = _JSON | {"application/x-amz-json-1.1", "application/x-amzn-json-1.1"}


def find_shape(endpoint: Endpoint) -> Judge | None:
    """Return what says what is wrong with an error of a wire; None where no document says how it says one."""
    if endpoint.wire == "sagemaker":
        return _judge_runtime if endpoint.credentials else None
    return _SHAPES.get(endpoint.wire)


def _judge_v2(reply: Reply) -> str:
    """`{"error": string}` (Open Inference Protocol V2, Inference Response JSON Error Object)."""
    return _judge_members(reply, _JSON, error=str)


def _judge_mlflow(reply: Reply) -> str:
    """`{"error_code": string, "message": string}` (MlflowException.serialize_as_json)."""
    return _judge_members(reply, _JSON, error_code=str, message=str)


def _judge_runtime(reply: Reply) -> str:
    """InvokeEndpoint, Errors: a ModelError tells what the container said."""
    body = _read_object(reply, _AWS_JSON)
    if isinstance(body, str):
        return body
    told = {name.lower(): value for name, value in body.items()}
    if not isinstance(told.get("message"), str):
        return "there is no message, a string, in it"
    if reply.status == 424 and not (
        isinstance(told.get("originalstatuscode"), int) and isinstance(told.get("originalmessage"), str)
    ):
        return "a ModelError has OriginalStatusCode, a number, and OriginalMessage, a string"
    return ""


def _judge_gradio(reply: Reply) -> str:
    """An event `error` with JSON, or `detail` (FastAPI), or `error` (Gradio, of what the function raised)."""
    if reply.status >= 300:
        body = _read_object(reply, _JSON)
        return (
            body if isinstance(body, str) else "" if {"detail", "error"} & set(body) else "there is no detail or error"
        )
    if reply.media_type != "text/event-stream":
        return f"it is {reply.media_type!r}, not an event stream"
    texts = [text for kind, text in read_events(reply.body) if kind == "error"]
    try:
        return "" if len(texts) == 1 and json.loads(texts[0]) is not False else "there is not one event `error`"
    except ValueError:
        return "the data of the event `error` is no JSON"


def _judge_members(reply: Reply, media_types: frozenset[str], **members: type) -> str:
    body = _read_object(reply, media_types)
    if isinstance(body, str):
        return body
    lacking = [name for name, kind in members.items() if not isinstance(body.get(name), kind) or not body[name]]
    return f"there is no {' and no '.join(lacking)}, a string, in it" if lacking else ""


def _read_object(reply: Reply, media_types: frozenset[str]) -> dict[str, Any] | str:
    if reply.media_type not in media_types:
        return f"its content type is {reply.headers.get('content-type', '')!r}, not {' or '.join(sorted(media_types))}"
    try:
        body = json.loads(reply.body)
    except ValueError:
        return "its body is no JSON"
    return body if isinstance(body, dict) else "its body is no JSON object"


_SHAPES: dict[str, Judge] = {
    "v2": _judge_v2,
    "mlflow": _judge_mlflow,
    "gradio-run": _judge_gradio,
    "gradio-call": _judge_gradio,
}
