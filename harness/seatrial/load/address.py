"""A URL as something to put load on: where it is, whether it may be, and the bytes that are sent to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from seatrial.errors import UsageError
from seatrial.load.plan import Destination
from seatrial.reach import choose_address

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_EXAMPLE = "give one like http://127.0.0.1:8080/path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URL taken apart."""

    destination: Destination
    host_header: str
    path: str


def resolve(
    url: str, *, allowed: Sequence[str] = (), ca_file: str = "", what: str = "load", strictly: bool = False
) -> Address:
    """Return where a URL leads. Of a name with several addresses, the first of this machine is taken.

    Args:
        url: of http or https.
        allowed: hosts that need not be this machine.
        ca_file: certificates to trust.
        what: is sent there, in words.
        strictly: all addresses of the name must be this machine's, not just one: for who connects by the name.

    Raises:
        UsageError: it is no http or https URL, its host has no address, or is not this machine and not in `allowed`.
    """
    parts = _split(url)
    hostname = str(parts.hostname)
    port = parts.port or _PORTS[parts.scheme]
    chosen = choose_address(hostname, port, allowed=allowed, what=what, strictly=strictly)
    destination = Destination(
        host=chosen,
        port=port,
        tls=parts.scheme == "https",
        server_name=hostname,
        ca_file=ca_file,
    )
    # What a URL may not hold is written as its escapes; escapes that are there stay.
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~')}" if parts.query else ""
    )
    return Address(destination=destination, host_header=parts.netloc.encode("idna").decode(), path=target)


def compose_request(
    address: Address, *, method: str, headers: Sequence[str], body: bytes, reconnect: bool = False
) -> bytes:
    """Return a whole HTTP/1.1 request.

    Args:
        address: where it goes.
        method: as given, or empty for GET, and for POST when there is a body.
        headers: `Name: value`; they may repeat. Where its body ends and how long its connection lives is ours to say.
        body: as it is.
        reconnect: the connection ends with the answer.

    Raises:
        UsageError: a method or a header that HTTP does not allow (RFC 9110, sections 5.1, 5.5 and 9.1).
    """
    method = method or ("POST" if body else "GET")
    if not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise UsageError(f"{method!r} is no HTTP method to ask with", fix="give one like GET or POST")
    given = [read_header(header) for header in headers]
    names = {name.lower() for name, _ in given}
    lines = [("Host", address.host_header), ("User-Agent", "seatrial"), ("Accept", "*/*")]
    lines = [(name, value) for name, value in lines if name.lower() not in names] + given
    if body and "content-type" not in names:
        lines.append(("Content-Type", "application/json" if body.lstrip()[:1] in {b"{", b"["} else "text/plain"))
    if body or method.upper() not in _BODILESS:
        lines.append(("Content-Length", str(len(body))))
    if reconnect:
        lines.append(("Connection", "close"))
    head = [f"{method} {address.path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines)]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}", fix=_EXAMPLE) from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError(f"{url!r} is no http or https URL with a host", fix=_EXAMPLE)
    if port == 0 or re.search(r"[\x00-\x20\x7f]", url):
        raise UsageError(f"{url!r} has port 0, a space or a control character in it", fix=_EXAMPLE)
    if parts.username is not None:
        raise UsageError("a URL that carries credentials is not used", fix="give --header 'Authorization: …'")
    return parts


def read_header(text: str) -> tuple[str, str]:
    """Return name and value of `Name: value`. Raises UsageError for what HTTP does not allow, and for what is ours to say."""
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        shown = name if colon else text
        raise UsageError(
            f"{shown[:60]!r} is not the name of a header with a value", fix="give one like 'Accept: text/plain'"
        )
    if name.lower() in _OURS:
        raise UsageError(f"the header {name} is computed, it cannot be given", fix="leave it out, or see --reconnect")
    return name, value.strip()
