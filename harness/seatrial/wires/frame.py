"""`frame`: length-prefixed JSON over a Unix socket, for the model in a child process: the floor without HTTP.

A frame is four bytes, its length in network order, then that many bytes of JSON: a question `{"inputs": {name: {"shape",
"data"}}}`, an answer `{"outputs": {...}, "model_version"}` or `{"error": sentence}`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import orjson

from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Manifest
from seatrial.tensors import fits, to_array, to_list
from seatrial.wire import Answer, Exchange, Framing, RawQuestion, Refusal, RefusalKind, Step

LENGTH = struct.Struct("!I")


class FrameWire:
    """Frames of JSON on a Unix socket."""

    name = "frame"
    framing: Framing = "frame"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:  # noqa: ARG002 - the protocol's signature
        """Return a fresh exchange for one question."""
        return FrameExchange(manifest)


@dataclass(slots=True)
class FrameExchange:
    """One question and one answer, a frame each."""

    manifest: Manifest
    received: bytearray = field(default_factory=bytearray)
    whole: bool = False

    def start(self, inputs: Arrays) -> bytes:
        tensors = {name: {"shape": list(array.shape), "data": to_list(array)} for name, array in inputs.items()}
        body = orjson.dumps({"inputs": tensors})
        return LENGTH.pack(len(body)) + body

    def start_raw(self, question: RawQuestion) -> bytes:
        return LENGTH.pack(len(question.body)) + question.body

    def receive(self, data: bytes) -> Step:
        if not data:
            message = f"closed after {len(self.received)} bytes of the answer"
            return Refusal(kind=RefusalKind.TRUNCATED, status=0, message=message)
        self.received += data
        if len(self.received) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self.received)
        if len(self.received) < LENGTH.size + length:
            return None
        self.whole = True
        return self._read(bytes(self.received[LENGTH.size : LENGTH.size + length]))

    @property
    def reusable(self) -> bool:
        return self.whole

    def _read(self, body: bytes) -> Step:
        try:
            answer = orjson.loads(body)
            if "error" in answer:
                return Refusal(kind=RefusalKind.REJECTED, status=0, message=str(answer["error"]))
            outputs = {}
            for spec in self.manifest.outputs:
                shape = tuple(answer["outputs"][spec.name]["shape"])
                if not fits(shape, spec.shape):
                    raise ValueError(f"{spec.name} has shape {list(shape)}, declared {list(spec.shape)}")
                outputs[spec.name] = to_array(answer["outputs"][spec.name]["data"], spec.datatype, shape)
            return Answer(outputs=outputs, status=0, model_version=str(answer.get("model_version", "")))
        except (ValueError, KeyError, TypeError) as error:
            return Refusal(kind=RefusalKind.MALFORMED, status=0, message=f"{type(error).__name__}: {error}")
