"""What a wire is: a protocol of asking, as an exchange without I/O.

The plain client (`seatrial.client`) and the load engine drive the same object: send what `start` gives, feed what arrives to
`receive`, send what it asks to be sent, until it gives an `Answer` or a `Refusal`. One exchange is one question, be it one HTTP
request, a post and its event stream, or a frame on a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Manifest


class RefusalKind(Enum):
    """Why there is no answer."""

    REJECTED = "rejected"
    """The server says that the question is wrong (HTTP 4xx, or the wire's own way of saying so)."""
    FAILED = "failed"
    """The server says that it could not answer (HTTP 5xx, an error event)."""
    OVERLOADED = "overloaded"
    """The server asks to come back later (429, 503, queue full)."""
    MALFORMED = "malformed"
    """What came back is not the protocol, or not the signature."""
    TRUNCATED = "truncated"
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A well-formed answer: arrays by output name, in the declared element types."""

    outputs: Arrays
    status: int
    model_version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No answer: a typed error, with the status (0 where the wire has none) and the beginning of the body."""

    kind: RefusalKind
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Send:
    """More bytes to send; on a new connection when `reconnect` is set (the server closed the old one)."""

    data: bytes
    reconnect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RawQuestion:
    """A question that no inputs make: its body goes out as it is, to where the wire sends questions.

    Args:
        body: what stands where the wire's own body would.
        content_type: of the body, where the wire has such a thing; None sends none.
    """

    body: bytes
    content_type: str | None = "application/json"


Step = Answer | Refusal | Send | None
"""What `receive` gives: an end, more to send, or None for "need more"."""


class Exchange(Protocol):
    """One question on a connection."""

    def start(self, inputs: Arrays) -> bytes:
        """Return the first bytes to send for one case."""

    def start_raw(self, question: RawQuestion) -> bytes:
        """Return the first bytes to send for a question that may be none."""

    def receive(self, data: bytes) -> Step:
        """Take bytes that arrived; empty means that the peer closed."""

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another exchange after this one ended."""


Framing = Literal["http", "http-events", "frame"]
"""How the end of an answer is told without reading what it says.

`http`: one response. `http-events`: a post whose JSON answer has an `event_id`, then a request with that id in its target,
answered by an event stream that ends with `complete` or `error`. `frame`: four bytes of length in network order, then as many
bytes.
"""


def find_body(framing: Framing, question: bytes) -> bytes:
    """Return the body of a question's first bytes, as `Exchange.start` gives them."""
    return question[4:] if framing == "frame" else question.partition(b"\r\n\r\n")[2]


@runtime_checkable
class Wire(Protocol):
    """A protocol of asking.

    One whose servers tell what they serve may have `discover(fetch, name)`; see `seatrial.discovery`.
    """

    name: str
    framing: Framing

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""
