"""What a server that runs already tells of what it serves: by which name it is asked, and by which signature.

A wire whose servers tell such things has `discover(fetch, name)`, which returns a `Discovery` and raises UsageError where a name
must be given, NoAnswerError where the server does not answer as the wire's specification has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import h11
import orjson

from seatrial.client import connect
from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.load.probe import NoAnswerError, explain_failure
from seatrial.model import TensorSpec
from seatrial.registry import find_wire
from seatrial.wires.http1 import HttpCall, Response, show_body

FETCH_TIMEOUT_S: Final = 10.0
MODEL_FIX: Final = "give --model DIR, a directory as `seatrial build NAME DIR` writes"
_CHUNK_BYTES = 1 << 16
_MOST_BODY_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What goes in and out, and the version of the model; an empty one where none is told."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a server tells; no signature where its wire has no way to tell one."""

    name: str
    signature: Signature | None = None


class Fetch(Protocol):
    """Asks for a path below the endpoint's address. Raises NoAnswerError."""

    def __call__(self, path: str, *, method: str = "GET") -> Response: ...


def discover(endpoint: Endpoint) -> Discovery:
    """Return what the server behind an endpoint tells. Raises UsageError and NoAnswerError."""
    ask: Callable[[Fetch, str], Discovery] | None = getattr(find_wire(endpoint.wire), "discover", None)
    if ask is None:
        return Discovery(name=endpoint.name)
    return ask(lambda path, *, method="GET": fetch(endpoint, path, method=method), endpoint.name)


def require_connection(endpoint: Endpoint, timeout_s: float = FETCH_TIMEOUT_S) -> None:
    """Return when a connection can be made. Raises NoAnswerError."""
    with explain_failure(endpoint.address):
        connect(endpoint, timeout_s).close()


def fetch(endpoint: Endpoint, path: str, *, method: str = "GET", timeout_s: float = FETCH_TIMEOUT_S) -> Response:
    """Return what is at a path below an endpoint's address, whatever its status.

    Raises:
        NoAnswerError: there is no whole answer of HTTP/1 in time.
    """
    deadline_s = time.monotonic() + timeout_s
    call, received = HttpCall(), 0
    question = call.send(method, endpoint.address + path, dict(endpoint.headers))
    with explain_failure(endpoint.address), connect(endpoint, timeout_s) as connection:
        connection.sendall(question)
        whole = False
        while not whole:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            data = connection.recv(_CHUNK_BYTES)
            received += len(data)
            try:
                whole = call.receive(data)
            except h11.RemoteProtocolError as error:
                raise NoAnswerError(f"{endpoint.address}{path} does not answer as HTTP/1 does: {error}") from error
            if received > _MOST_BODY_BYTES:
                raise NoAnswerError(f"{endpoint.address}{path} answers without end: over {received:,} bytes")
    return call.response


def read_object(response: Response, path: str) -> dict[str, Any]:
    """Return the JSON object of a response.

    Raises:
        NoAnswerError: the status is not 2xx, or the body none.
    """
    if not 200 <= response.status < 300:
        fix = "give --header 'Authorization: …', as it asks for one" if response.status in {401, 403} else MODEL_FIX
        raise NoAnswerError(f"{path} answers with status {response.status}: {show_body(response.body)}", fix=fix)
    try:
        value = orjson.loads(response.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NoAnswerError(f"{path} answers what is no JSON object: {show_body(response.body)}", fix=MODEL_FIX)
    return value


def choose_name(known: Sequence[str], what: str) -> str:
    """Return the only name. Raises UsageError when there is none, or a choice."""
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError(f"the server does not tell the name of its {what}", fix="give --name NAME")
    raise UsageError(
        f"the server has {len(known)} {what}s: {', '.join(sorted(known))}", fix="give the one to ask, with --name NAME"
    )
