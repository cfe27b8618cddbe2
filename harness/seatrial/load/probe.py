"""One request before the run: whether what is at the address answers at all."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httptools

from seatrial.errors import ExitCode, SeatrialError
from seatrial.load.plan import Destination

MAX_BODY_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_SHOWN_BYTES = 60
_SCHEME_FIX = "see that it speaks TLS: the URL of a server that does not begins with http://"
_CERTIFICATE_FIXES = {
    # By X509_V_ERR_… of OpenSSL's x509_vfy.h.
    9: "see the clocks of both machines: the certificate is to hold later",
    10: "renew the certificate of the server",
    62: "ask by a name that stands in the certificate",
    64: "ask by a name or an address that stands in the certificate",
}
_TLS_ALERT = b"\x15\x03"


class NoAnswerError(SeatrialError):
    """What is at the address cannot be put under load: it does not answer one request. Nothing ran."""

    exit_code = ExitCode.NOTHING_RAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The answer to one request, which was the first: slower than the others, as a rule."""

    status: int
    body_bytes: int
    took_s: float


class _Response:
    """Takes what httptools finds."""

    def __init__(self, *, head_only: bool) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = self.body_bytes = 0
        self.whole = self.sized = False
        self._head_only = head_only

    def on_header(self, name: bytes, _: bytes) -> None:
        self.sized = self.sized or name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        self.status = status if status >= 200 else 0
        self.whole = self._head_only and self.status > 0

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_message_complete(self) -> None:
        self.whole = self.whole or self.status > 0


def probe(destination: Destination, request: bytes, timeout_s: float) -> Probe:
    """Send one request and read its answer to the end.

    Raises:
        NoAnswerError: nothing listens; it closes early, stalls, does not end, or speaks what is not HTTP/1.
    """
    where = f"{destination.host}:{destination.port}"
    began_s = time.monotonic()
    deadline_s = began_s + timeout_s
    with explain_failure(where), _connect(destination, deadline_s) as connection:
        connection.sendall(request)
        response = _receive(connection, request.startswith(b"HEAD "), deadline_s, where)
    return Probe(status=response.status, body_bytes=response.body_bytes, took_s=time.monotonic() - began_s)


def _receive(connection: socket.socket, head_only: bool, deadline_s: float, where: str) -> _Response:
    response = _Response(head_only=head_only)
    beginning, received = b"", 0
    while not response.whole:
        left_s = deadline_s - time.monotonic()
        try:
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            chunk = connection.recv(_CHUNK_BYTES)
        except TimeoutError:
            got = f"sent {received} bytes of an answer and no end of it" if received else "sent nothing"
            raise NoAnswerError(
                f"{where} took the request and {got} in time",
                fix="give a longer --timeout if its answers take so long",
            ) from None
        if not chunk:
            if response.status and not response.sized:
                return response
            got = f"after {received} bytes of an answer: {beginning!r}" if received else "without an answer"
            raise NoAnswerError(f"{where} closed the connection {got}")
        received += len(chunk)
        beginning = beginning or chunk[:_SHOWN_BYTES]
        try:
            response.parser.feed_data(chunk)
        except httptools.HttpParserError as error:
            fix = "give its URL with https://: it speaks TLS" if beginning.startswith(_TLS_ALERT) else ""
            raise NoAnswerError(f"{where} answered what is not HTTP/1: {beginning!r} ({error})", fix=fix) from None
        if response.body_bytes > MAX_BODY_BYTES:
            raise NoAnswerError(f"{where} sends a body without end: it is over {MAX_BODY_BYTES >> 20} MB long")
    return response


@contextmanager
def explain_failure(where: str) -> Iterator[None]:
    """Raise NoAnswerError, in words, for what keeps a connection from being made or used within the block."""
    try:
        yield
    except TimeoutError:
        raise NoAnswerError(f"{where} does not take a connection or a request in time") from None
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        fix = _CERTIFICATE_FIXES.get(error.verify_code, "give its authority's certificate with --ca-file")
        raise NoAnswerError(f"{where} shows a certificate that does not hold: {why}", fix=fix) from error
    except ssl.SSLError as error:
        why = error.reason.lower().replace("_", " ") if error.reason else str(error)
        raise NoAnswerError(f"{where} makes no TLS connection: {why}", fix=_SCHEME_FIX) from error
    except OSError as error:
        raise NoAnswerError(
            f"{where} does not answer: {error}", fix="see that the server runs and listens there"
        ) from error


@contextmanager
def _connect(destination: Destination, deadline_s: float) -> Iterator[socket.socket]:
    with ExitStack() as stack:
        left_s = max(0.01, deadline_s - time.monotonic())
        connection = stack.enter_context(socket.create_connection((destination.host, destination.port), timeout=left_s))
        if destination.tls:
            context = ssl.create_default_context()
            if destination.ca_file:
                context.load_verify_locations(Path(destination.ca_file))
            try:
                connection = stack.enter_context(
                    context.wrap_socket(connection, server_hostname=destination.server_name)
                )
            except TimeoutError:
                where = f"{destination.host}:{destination.port}"
                raise NoAnswerError(
                    f"{where} takes a connection and does not answer to TLS in time", fix=_SCHEME_FIX
                ) from None
        yield connection
