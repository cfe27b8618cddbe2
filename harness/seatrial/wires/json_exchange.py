"""An exchange of one JSON request and one JSON response over HTTP/1.1; the wires differ in what they put in and take out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11
import orjson

from seatrial.model import Arrays, Manifest
from seatrial.tensors import fits, to_array
from seatrial.wire import Answer, RawQuestion, Refusal, RefusalKind, Step
from seatrial.wires.http1 import HttpCall, Response, refuse_broken, refuse_status, show_body

Decoded = tuple[Arrays, str]
"""Outputs by name, and the version of the model that the answer names, or an empty string."""


Sign = Callable[[Mapping[str, str], bytes], Mapping[str, str]]
"""Headers and body to the headers of the signed request."""


@dataclass(slots=True, kw_only=True)
class JsonExchange:
    """One request, one response.

    `encode` makes the body of the inputs; `decode` makes outputs of the response's JSON and raises ValueError, KeyError or
    TypeError when it is not what the wire promises. `url` is whole, `headers` go out besides the content type.
    """

    url: str
    headers: Mapping[str, str]
    encode: Callable[[Arrays], bytes]
    decode: Callable[[Any], Decoded]
    sign: Sign | None = None
    call: HttpCall = field(default_factory=HttpCall)

    def start(self, inputs: Arrays) -> bytes:
        return self.start_raw(RawQuestion(body=self.encode(inputs)))

    def start_raw(self, question: RawQuestion) -> bytes:
        headers = {**name_type(question), **self.headers}
        signed = headers if self.sign is None else self.sign(headers, question.body)
        return self.call.send("POST", self.url, signed, question.body)

    def receive(self, data: bytes) -> Step:
        try:
            if not self.call.receive(data):
                return None
        except h11.RemoteProtocolError as error:
            return refuse_broken(error, self.call)
        response = self.call.response
        return refuse_status(response) or read_answer(response, self.decode)

    @property
    def reusable(self) -> bool:
        return self.call.reusable


def name_type(question: RawQuestion) -> dict[str, str]:
    """Return the header that tells the content type, or nothing."""
    return {} if question.content_type is None else {"Content-Type": question.content_type}


def read_answer(response: Response, decode: Callable[[Any], Decoded]) -> Answer | Refusal:
    """Decode a 2xx response, or say in which way it is malformed. Strict JSON: bare NaN is malformed (RFC 8259, section 6)."""
    try:
        outputs, version = decode(orjson.loads(response.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}; body: {show_body(response.body)}"
        return Refusal(kind=RefusalKind.MALFORMED, status=response.status, message=what)
    return Answer(outputs=outputs, status=response.status, model_version=version, headers=response.headers)


def nest(inputs: Arrays) -> dict[str, Any]:
    """Return inputs as nested lists by name."""
    return {name: array.tolist() for name, array in inputs.items()}


def unnest(given: Mapping[str, Any], manifest: Manifest) -> Arrays:
    """Return outputs by name from nested lists, in the declared element types.

    Raises:
        ValueError: names, element types or shapes are not the signature's.
    """
    expected = {spec.name for spec in manifest.outputs}
    if set(given) != expected:
        raise ValueError(f"outputs {sorted(given)}, the signature says {sorted(expected)}")
    arrays = {}
    for spec in manifest.outputs:
        shape = measure_shape(given[spec.name])
        if not fits(shape, spec.shape):
            raise ValueError(f"{spec.name} has shape {list(shape)}, declared {list(spec.shape)}")
        arrays[spec.name] = to_array(given[spec.name], spec.datatype, shape)
    return arrays


def measure_shape(data: Any) -> tuple[int, ...]:
    """Return the shape of a nested list by its first elements; raggedness shows as a wrong count later."""
    shape: list[int] = []
    while isinstance(data, list):
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    return tuple(shape)
