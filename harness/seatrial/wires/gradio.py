"""`gradio-run` and `gradio-call`: Gradio's HTTP API.

`/gradio_api/run/NAME` answers at once and skips the queue; `/gradio_api/call/NAME` gives an event id, whose event stream ends
with `complete` or `error` (www.gradio.app/guides/querying-gradio-apps-with-curl). One JSON component in, one out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h11
import orjson

from seatrial.discovery import Discovery, Fetch, choose_name, read_object
from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Manifest
from seatrial.wire import Answer, Exchange, Framing, RawQuestion, Refusal, RefusalKind, Send, Step
from seatrial.wires.http1 import HttpCall, Response, refuse_broken, refuse_status, show_body
from seatrial.wires.json_exchange import Decoded, JsonExchange, name_type, nest, unnest

_API_PREFIX = "/gradio_api"


class GradioRunWire:
    """One request: POST /gradio_api/run/NAME."""

    name = "gradio-run"
    framing: Framing = "http"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""
        return JsonExchange(
            url=f"{endpoint.address}{_API_PREFIX}/run/{endpoint.name}",
            headers=endpoint.headers,
            encode=_encode,
            decode=lambda body: read_data(body["data"], manifest),
        )

    def discover(self, fetch: Fetch, name: str) -> Discovery:
        """Return the name of the app's only function."""
        return discover_function(fetch, name)


class GradioCallWire:
    """Two requests: POST /gradio_api/call/NAME, then the event stream of the id that it gave."""

    name = "gradio-call"
    framing: Framing = "http-events"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""
        return CallExchange(endpoint, manifest)

    def discover(self, fetch: Fetch, name: str) -> Discovery:
        """Return the name of the app's only function."""
        return discover_function(fetch, name)


@dataclass(slots=True)
class CallExchange:
    """A post, then the events until `complete` or `error`; done as soon as that event is in."""

    endpoint: Endpoint
    manifest: Manifest
    call: HttpCall = field(default_factory=HttpCall)
    streaming: bool = False

    def start(self, inputs: Arrays) -> bytes:
        return self.start_raw(RawQuestion(body=_encode(inputs)))

    def start_raw(self, question: RawQuestion) -> bytes:
        url = f"{self.endpoint.address}{_API_PREFIX}/call/{self.endpoint.name}"
        return self.call.send("POST", url, {**name_type(question), **self.endpoint.headers}, question.body)

    def receive(self, data: bytes) -> Step:
        try:
            whole = self.call.receive(data)
        except h11.RemoteProtocolError as error:
            return refuse_broken(error, self.call)
        if not self.streaming:
            return self._follow(self.call.response) if whole else None
        return self._read_events(whole)

    @property
    def reusable(self) -> bool:
        return self.streaming and self.call.ended and self.call.reusable

    def _follow(self, response: Response) -> Step:
        refusal = refuse_status(response)
        if refusal is not None:
            return refusal
        try:
            event_id = orjson.loads(response.body)["event_id"]
        except (ValueError, KeyError, TypeError):
            message = f"no event_id in {show_body(response.body)}"
            return Refusal(kind=RefusalKind.MALFORMED, status=response.status, message=message)
        reconnect = not self.call.reusable
        connection = h11.Connection(h11.CLIENT)
        if not reconnect:
            connection = self.call.connection
            connection.start_next_cycle()
        self.call = HttpCall(connection=connection)
        self.streaming = True
        url = f"{self.endpoint.address}{_API_PREFIX}/call/{self.endpoint.name}/{event_id}"
        headers = {"Accept": "text/event-stream", **self.endpoint.headers}
        return Send(self.call.send("GET", url, headers), reconnect=reconnect)

    def _read_events(self, whole: bool) -> Step:
        if self.call.head is None:
            return None
        response = self.call.response
        refusal = refuse_status(response)
        if refusal is not None:
            return refusal if whole else None
        for kind, text in read_events(response.body):
            if kind == "complete":
                return self._read_complete(response, text)
            if kind == "error":
                return Refusal(kind=RefusalKind.FAILED, status=response.status, message=show_body(text))
        if whole:
            message = f"the stream ended without `complete`: {show_body(response.body)}"
            return Refusal(kind=RefusalKind.TRUNCATED, status=response.status, message=message)
        return None

    def _read_complete(self, response: Response, text: bytes) -> Step:
        try:
            outputs, version = read_data(orjson.loads(text), self.manifest)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            message = f"{type(error).__name__}: {error}; data: {show_body(text)}"
            return Refusal(kind=RefusalKind.MALFORMED, status=response.status, message=message)
        return Answer(outputs=outputs, status=response.status, model_version=version, headers=response.headers)


def discover_function(fetch: Fetch, name: str) -> Discovery:
    """Return the name of an app's function; of what goes in, its page of information tells components, not tensors."""
    if name:
        return Discovery(name=name)
    functions = read_object(fetch(f"{_API_PREFIX}/info"), f"{_API_PREFIX}/info").get("named_endpoints")
    known = [each.removeprefix("/") for each in functions] if isinstance(functions, dict) else []
    return Discovery(name=choose_name(known, "function"))


def read_events(body: bytes) -> list[tuple[str, bytes]]:
    """Return (event, data) of the whole events of a stream so far.

    WHATWG HTML, "Server-sent events": events end with an empty line, several data lines are joined with a line feed.
    """
    events = []
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    for block in blocks[:-1]:
        kind, data = "message", []
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"event":
                kind = value.decode("utf-8", "replace")
            elif name == b"data":
                data.append(value)
        events.append((kind, b"\n".join(data)))
    return events


def read_data(data: Any, manifest: Manifest) -> Decoded:
    """Return the outputs of an app's data list: one JSON value, `{"outputs": ..., "model_version": ...}` or the outputs bare.

    Raises:
        ValueError: not one value, or not the signature's.
    """
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise ValueError("expected a list of one JSON object")
    value = data[0]
    if "outputs" in value:
        return unnest(value["outputs"], manifest), str(value.get("model_version", ""))
    return unnest(value, manifest), ""


def _encode(inputs: Arrays) -> bytes:
    return orjson.dumps({"data": [nest(inputs)]})
