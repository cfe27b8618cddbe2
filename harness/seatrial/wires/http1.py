"""HTTP/1.1 requests and responses without I/O, on h11."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from seatrial.wire import Refusal, RefusalKind

MAX_SHOWN_CHARS = 500
_OVERLOADED = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole response; header names in lower case, the last of equal names wins."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class HttpCall:
    """One request on a connection and its response, which is gathered as bytes arrive."""

    connection: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    body: bytearray = field(default_factory=bytearray)
    head: h11.Response | None = None
    ended: bool = False

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """Return the bytes of a request; `url` is whole, its host goes into the Host header."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = {"Host": parts.netloc, "Accept": "application/json", **headers}
        if body or method == "POST":
            fields["Content-Length"] = str(len(body))
        request = h11.Request(method=method, target=path, headers=list(fields.items()))
        data = self.connection.send(request) or b""
        if body:
            data += self.connection.send(h11.Data(data=body)) or b""
        return data + (self.connection.send(h11.EndOfMessage()) or b"")

    def receive(self, data: bytes) -> bool:
        """Take bytes (empty: the peer closed) and tell whether the response is whole.

        Raises:
            h11.RemoteProtocolError: not HTTP, or cut off.
        """
        self.connection.receive_data(data)
        while not self.ended:
            event = self.connection.next_event()
            if isinstance(event, h11.Response):
                self.head = event
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.ended = True
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("the connection was closed before a response")
            elif event in (h11.NEED_DATA, h11.PAUSED):
                break
        return self.ended

    @property
    def response(self) -> Response:
        """The response as gathered so far; whole once `receive` said so."""
        if self.head is None:
            raise ValueError("no response has begun")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.head.headers}
        return Response(status=self.head.status_code, headers=headers, body=bytes(self.body))

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request."""
        return self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE


def refuse_broken(error: h11.RemoteProtocolError, call: HttpCall) -> Refusal:
    """Return the refusal for a response that is not HTTP, or ended too early."""
    closed = call.connection.trailing_data[1]
    kind = RefusalKind.TRUNCATED if closed else RefusalKind.MALFORMED
    status = call.head.status_code if call.head is not None else 0
    return Refusal(kind=kind, status=status, message=f"{error}; {len(call.body)} bytes of the body had come")


def refuse_status(response: Response) -> Refusal | None:
    """Return the refusal that a status stands for; None for 2xx."""
    if 200 <= response.status < 300:
        return None
    if response.status in _OVERLOADED:
        kind = RefusalKind.OVERLOADED
    elif 400 <= response.status < 500:
        kind = RefusalKind.REJECTED
    elif response.status >= 500:
        kind = RefusalKind.FAILED
    else:
        kind = RefusalKind.MALFORMED
    return Refusal(kind=kind, status=response.status, message=show_body(response.body))


def show_body(body: bytes) -> str:
    """Return the beginning of a body as text."""
    text = body[: MAX_SHOWN_CHARS * 4].decode("utf-8", "backslashreplace")
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"
