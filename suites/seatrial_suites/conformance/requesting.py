"""How checks send one HTTP request of their own making, and read what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest

from seatrial.client import KEPT_BYTES, connect
from seatrial.endpoint import Endpoint
from seatrial.evidence import show_received, show_sent
from seatrial.model import ModelDirectory
from seatrial.registry import find_wire
from seatrial.wires.http1 import HttpCall
from seatrial.wires.sagemaker import sign_request
from seatrial_suites.conformance import asking

JSON = "application/json"
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back to one request; header names in lower case.

    Args:
        status: 0 where no response began.
        trouble: what kept the response from being whole; empty for a whole one.
        sent: the bytes of the request.
        received: the first bytes that came back.
        took_s: from the first byte sent to the last received.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    trouble: str = ""
    sent: bytes = b""
    received: bytes = b""
    took_s: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether it is whole, with a status of 2xx."""
        return not self.trouble and 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether it is whole, with a status of 4xx: the asker's mistake (RFC 9110, 15.5)."""
        return not self.trouble and 400 <= self.status < 500

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters; empty when none is declared."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def document(self) -> Any:
        """The body read as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def request(
    endpoint: Endpoint,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float | None = None,
    enough: bytes = b"",
    signed: bool = False,
) -> Reply:
    """Send one request on a connection of its own; whatever keeps the response away is in the reply.

    Args:
        endpoint: where; what it sends with every question is sent here too.
        method: GET, POST, …
        target: the request target as it goes out, unchanged.
        headers: besides Host and the length.
        body: of the request.
        timeout_s: until the response must be whole.
        enough: bytes of the body after which no more is read, for a stream that may not end.
        signed: with the endpoint's credentials, where it has any.
    """
    fields = {"Host": _name_host(endpoint), **endpoint.headers, **(headers or {})}
    if signed and endpoint.credentials:
        unsigned = {name: value for name, value in fields.items() if name != "Host"}
        fields |= sign_request(endpoint.credentials, endpoint.address + target, unsigned, body, method=method)
    if body or method == "POST":
        fields["Content-Length"] = str(len(body))
    call = HttpCall()
    head = h11.Request(method=method, target=target, headers=list(fields.items()))
    sent = (call.connection.send(head) or b"") + (call.connection.send(h11.Data(data=body)) or b"" if body else b"")
    sent += call.connection.send(h11.EndOfMessage()) or b""
    return _exchange(endpoint, call, sent, enough, asking.ANSWER_TIMEOUT_S if timeout_s is None else timeout_s)


def post_json(endpoint: Endpoint, target: str, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Send a document as JSON."""
    body = json.dumps(document).encode()
    return request(endpoint, "POST", target, headers={"Content-Type": JSON, **(headers or {})}, body=body)


def locate(endpoint: Endpoint, path: str) -> str:
    """Return the target for a path of the protocol, below the path that the address may have."""
    parts = urlsplit(endpoint.address)
    return path if parts.scheme == "unix" else parts.path.rstrip("/") + path


def require_wire(endpoint: Endpoint, *wires: str) -> None:
    """Skip where another protocol is spoken."""
    if endpoint.wire not in wires:
        pytest.skip(f"it is asked of {' and '.join(wires)}, and this endpoint speaks {endpoint.wire}")


def find_question_path(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return where the wire posts questions to."""
    head = find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(model.cases[0].inputs)
    return head.split(b" ", 2)[1].decode("latin-1")


def leave_question_path(path: str) -> str:
    """Return a path beside the question's at which there is nothing."""
    head, slash, tail = urlsplit(path).path.rpartition("/")
    return f"{head}{slash}{tail}-no-such-thing"


def show_reply(endpoint: Endpoint, reply: Reply) -> str:
    """Return what was sent and what came back, a line or more each."""
    lines = [f"  sent: {show_sent(endpoint, reply.sent)}", f"  came back: {show_received(reply.received)}"]
    return "\n".join([*lines, f"  that is: {reply.trouble}"] if reply.trouble else lines)


def _name_host(endpoint: Endpoint) -> str:
    parts = urlsplit(endpoint.address)
    return "localhost" if parts.scheme == "unix" else parts.netloc


def _exchange(endpoint: Endpoint, call: HttpCall, sent: bytes, enough: bytes, timeout_s: float) -> Reply:
    began_s = time.monotonic()
    received, trouble = b"", ""
    try:
        with connect(endpoint, timeout_s) as connection:
            connection.sendall(sent)
            whole = False
            while not whole and not (enough and enough in call.body):
                connection.settimeout(max(0.001, began_s + timeout_s - time.monotonic()))
                data = connection.recv(_CHUNK_BYTES)
                received += data[: KEPT_BYTES - len(received)]
                whole = call.receive(data)
    except TimeoutError:
        trouble = f"no whole response within {timeout_s:g} s"
    except h11.RemoteProtocolError as error:
        trouble = f"no whole response of HTTP/1.1: {error}"
    except OSError as error:
        trouble = f"no response: {type(error).__name__}: {error}"
    took_s = time.monotonic() - began_s
    if call.head is None:
        return Reply(trouble=trouble or "no response", sent=sent, received=received, took_s=took_s)
    response = call.response
    return Reply(
        status=response.status,
        headers=response.headers,
        body=response.body,
        trouble=trouble,
        sent=sent,
        received=received,
        took_s=took_s,
    )
