"""One request of any method to any path of an endpoint, on a connection of its own, with its headers and credentials."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from seatrial.client import KEPT_BYTES, connect
from seatrial.endpoint import Endpoint
from seatrial.evidence import show_received, show_sent
from seatrial.model import ModelDirectory
from seatrial.registry import find_wire
from seatrial.wires.http1 import HttpCall, Response
from seatrial.wires.sagemaker import sign_request
from seatrial_suites.conformance import asking

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """One request and what became of it.

    Args:
        sent: its bytes.
        received: the first bytes that came back.
        response: what came back; None when nothing whole did.
        message: then why not.
    """

    sent: bytes
    received: bytes
    response: Response | None
    message: str = ""

    def show(self, endpoint: Endpoint) -> str:
        """Return what was sent and what came back."""
        lines = [f"  sent: {show_sent(endpoint, self.sent)}", f"  came back: {show_received(self.received)}"]
        return "\n".join([*lines, f"  that is: {self.message}"] if self.message else lines)


def find_question_path(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return where the wire posts questions to."""
    head = find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(model.cases[0].inputs)
    return head.split(b" ", 2)[1].decode("latin-1")


def request(
    endpoint: Endpoint, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Requested:
    """Send one request and gather its response."""
    url = endpoint.address + target
    fields = {**(headers or {}), **endpoint.headers}
    if endpoint.credentials:
        fields = dict(sign_request(endpoint.credentials, url, fields, body, method=method))
    call = HttpCall()
    sent = call.send(method, url, fields, body)
    received = b""
    deadline = time.monotonic() + asking.ANSWER_TIMEOUT_S
    try:
        with connect(endpoint, asking.ANSWER_TIMEOUT_S) as connection:
            connection.sendall(sent)
            ended = False
            while not ended:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                data = connection.recv(_CHUNK_BYTES)
                received += data[: KEPT_BYTES - len(received)]
                ended = call.receive(data)
    except (OSError, h11.RemoteProtocolError) as error:
        message = f"no whole response: {type(error).__name__}: {error}"
        return Requested(sent=sent, received=received, response=None, message=message)
    return Requested(sent=sent, received=received, response=call.response)


def read_media_type(response: Response) -> str:
    """Return the media type in lower case, without parameters; an empty string when none is told."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def leave_question_path(path: str) -> str:
    """Return a path beside the question's at which there is nothing."""
    head, slash, tail = urlsplit(path).path.rpartition("/")
    return f"{head}{slash}{tail}-no-such-thing"
