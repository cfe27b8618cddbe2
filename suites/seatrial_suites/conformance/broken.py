"""Bodies that are no JSON, made of one that is."""

from __future__ import annotations

from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.registry import find_wire
from seatrial.wire import find_body


def list_broken(endpoint: Endpoint, model: ModelDirectory) -> dict[str, bytes]:
    """Return bodies by what is wrong with them (RFC 8259 has none of them as a JSON text)."""
    whole = make_body(endpoint, model)
    return {
        "an empty body": b"",
        "a question cut off in the middle": whole[: len(whole) // 2],
        "a question without its last brace": whole[:-1],
        "a question with more after it": whole + b"}",
        "a bare word": b"question",
        "a quote that does not end": b'{"inputs": "',
        "a key without a value": b'{"inputs"}',
        "a single quote for a double one": whole.replace(b'"', b"'"),
        "a comma too many": whole[:-1] + b",}",
        "bytes that are no UTF-8": whole[:-1] + b', "\xff\xfe": 0}',
    }


def make_body(endpoint: Endpoint, model: ModelDirectory) -> bytes:
    """Return the body with which the wire asks the first golden case."""
    wire = find_wire(endpoint.wire)
    return find_body(wire.framing, wire.open_exchange(endpoint, model.manifest).start(model.cases[0].inputs))
