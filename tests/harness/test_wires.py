"""Wires: what is sent, and what is made of any bytes that come back, in any pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.endpoint import Credentials, Endpoint
from seatrial.model import Manifest, TensorSpec
from seatrial.registry import find_wire
from seatrial.wire import Answer, Exchange, Refusal, RefusalKind, Send, Step
from seatrial.wires.frame import LENGTH
from seatrial.wires.gradio import read_events

MANIFEST = Manifest(
    name="m",
    version="1",
    inputs=(TensorSpec(name="x", datatype="INT64", shape=(-1,)),),
    outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
    entry="m:model",
    python="3.11",
    files={},
)
INPUTS = {"x": np.array([2**53 + 1, -5])}
V2_BODY = {"model_version": "1", "outputs": [{"name": "y", "shape": [2], "datatype": "INT64", "data": [2**53 + 1, 7]}]}
GOOD_BODIES = {
    "v2": V2_BODY,
    "sagemaker": {"outputs": {"y": [2**53 + 1, 7]}, "model_version": "1"},
    "mlflow": {"predictions": [2**53 + 1, 7]},
    "gradio-run": {"data": [{"outputs": {"y": [2**53 + 1, 7]}, "model_version": "1"}]},
}


def open_exchange(wire: str, **endpoint: object) -> Exchange:
    where = Endpoint(address="http://127.0.0.1:9", wire=wire, path="loopback", name="m", **endpoint)
    return find_wire(wire).open_exchange(where, MANIFEST)


def respond(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def feed(exchange: Exchange, data: bytes, piece_bytes: int) -> Step:
    for start in range(0, len(data), piece_bytes):
        step = exchange.receive(data[start : start + piece_bytes])
        if step is not None:
            return step
    return None


@pytest.mark.parametrize("wire", GOOD_BODIES)
@pytest.mark.parametrize("piece_bytes", [1, 7, 100_000])
def test_a_good_response_in_any_pieces_is_an_exact_answer(wire: str, piece_bytes: int) -> None:
    exchange = open_exchange(wire)
    assert exchange.start(INPUTS).startswith(b"POST /")

    answer = feed(exchange, respond(orjson.dumps(GOOD_BODIES[wire])), piece_bytes)

    assert isinstance(answer, Answer)
    assert answer.outputs["y"].tolist() == [2**53 + 1, 7]
    assert answer.outputs["y"].dtype == np.int64
    assert exchange.reusable


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", RefusalKind.REJECTED),
        ("429 Too Many Requests", RefusalKind.OVERLOADED),
        ("503 Service Unavailable", RefusalKind.OVERLOADED),
        ("500 Internal Server Error", RefusalKind.FAILED),
        ("302 Found", RefusalKind.MALFORMED),
    ],
)
@pytest.mark.parametrize("wire", [*GOOD_BODIES, "gradio-call"])
def test_a_status_is_a_typed_refusal_with_the_body(wire: str, status: str, kind: RefusalKind) -> None:
    exchange = open_exchange(wire)
    exchange.start(INPUTS)

    refusal = exchange.receive(respond(b'{"error": "the reason"}', status))

    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.status) == (kind, int(status[:3]))
    assert "the reason" in refusal.message


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'"INT64"', b'"FP64"'),
        lambda body: body.replace(b"[2]", b"[3]"),
        lambda body: body.replace(b'"y"', b'"z"'),
        lambda body: body.replace(b"7]", b"7.5]"),
        lambda body: body.replace(b"7]", b'"7"]'),
        lambda body: body.replace(b"7]", b"true]"),
        lambda body: body.replace(b"7]", b"NaN]"),
        lambda body: body.replace(b"7]", b"9223372036854775808]"),
        lambda body: body[:-1],
        lambda body: b"",
        lambda body: b"[]",
        lambda body: b"null",
    ],
    ids=["datatype", "count", "name", "fraction", "text", "bool", "nan", "overflow", "cut", "empty", "list", "null"],
)
def test_what_is_not_the_signature_is_malformed(change: Callable[[bytes], bytes]) -> None:
    exchange = open_exchange("v2")
    exchange.start(INPUTS)

    refusal = exchange.receive(respond(change(orjson.dumps(V2_BODY))))

    assert isinstance(refusal, Refusal)
    assert refusal.kind is RefusalKind.MALFORMED


@pytest.mark.parametrize("wire", [*GOOD_BODIES, "gradio-call", "frame"])
def test_a_connection_that_ends_early_is_truncated(wire: str) -> None:
    exchange = open_exchange(wire)
    exchange.start(INPUTS)
    half = LENGTH.pack(100) + b"{" if wire == "frame" else b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"

    assert exchange.receive(half) is None
    refusal = exchange.receive(b"")

    assert isinstance(refusal, Refusal)
    assert refusal.kind is RefusalKind.TRUNCATED
    assert not exchange.reusable


@given(st.binary(max_size=200))
@pytest.mark.parametrize("wire", [*GOOD_BODIES, "gradio-call", "frame"])
def test_no_bytes_whatever_raise(wire: str, data: bytes) -> None:
    exchange = open_exchange(wire)
    exchange.start(INPUTS)

    step = exchange.receive(data + b"\r\n")
    ended = step if step is not None else exchange.receive(b"")

    assert isinstance(ended, Refusal | Answer)


def test_gradio_call_follows_the_event_stream_on_the_same_connection() -> None:
    exchange = open_exchange("gradio-call")
    exchange.start(INPUTS)

    following = exchange.receive(respond(b'{"event_id": "abc"}'))

    assert isinstance(following, Send)
    assert not following.reconnect
    assert following.data.startswith(b"GET /gradio_api/call/m/abc HTTP/1.1\r\n")
    events = b'event: heartbeat\ndata: null\n\nevent: complete\ndata: [{"y": [1, 2]}]\n\n'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange.receive(head) is None
    answer = exchange.receive(f"{len(events):x}\r\n".encode() + events + b"\r\n")
    assert isinstance(answer, Answer)
    assert answer.outputs["y"].tolist() == [1, 2]


def test_gradio_call_reconnects_when_the_server_closes() -> None:
    exchange = open_exchange("gradio-call")
    exchange.start(INPUTS)

    following = exchange.receive(respond(b'{"event_id": "abc"}', extra="Connection: close\r\n"))

    assert isinstance(following, Send)
    assert following.reconnect


def test_gradio_error_event_under_status_200_is_a_refusal() -> None:
    exchange = open_exchange("gradio-call")
    exchange.start(INPUTS)
    exchange.receive(respond(b'{"event_id": "abc"}'))

    refusal = exchange.receive(respond(b'event: error\ndata: {"error": "no"}\n\n'))

    assert isinstance(refusal, Refusal)
    assert refusal.kind is RefusalKind.FAILED


def test_events_are_read_as_the_standard_says() -> None:
    stream = b": comment\n\nevent: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata:x\n\nevent: cut\ndata: no"

    assert read_events(stream) == [("message", b""), ("a", b"1\n2"), ("message", b"x")]


def test_a_frame_holds_one_answer() -> None:
    exchange = open_exchange("frame")
    (length,) = LENGTH.unpack(exchange.start(INPUTS)[: LENGTH.size])
    assert length > 0
    body = orjson.dumps({"outputs": {"y": {"shape": [2], "data": [1, 2]}}, "model_version": "1"})

    answer = feed(exchange, LENGTH.pack(len(body)) + body, 3)

    assert isinstance(answer, Answer)
    assert answer.model_version == "1"


def test_sagemaker_signs_when_it_has_keys_and_does_not_show_them() -> None:
    credentials = Credentials(access_key="AKID", secret_key="hush")
    sent = open_exchange("sagemaker", credentials=credentials).start(INPUTS)

    assert sent.startswith(b"POST /endpoints/m/invocations HTTP/1.1\r\n")
    assert b"AWS4-HMAC-SHA256 Credential=AKID/" in sent
    assert b"/us-east-1/sagemaker/aws4_request" in sent
    assert b"hush" not in sent
    assert "hush" not in repr(credentials)
    assert open_exchange("sagemaker").start(INPUTS).startswith(b"POST /invocations HTTP/1.1\r\n")


def test_mlflow_rows_of_a_data_frame_become_outputs() -> None:
    exchange = open_exchange("mlflow")
    exchange.start(INPUTS)

    answer = exchange.receive(respond(b'{"predictions": [{"y": 1}, {"y": 2}]}'))

    assert isinstance(answer, Answer)
    assert answer.outputs["y"].tolist() == [1, 2]
