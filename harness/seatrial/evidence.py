"""What was sent and what came back, as somebody can repeat it: a command line for curl, with secrets masked."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterable
from urllib.parse import urlsplit

from seatrial.endpoint import Endpoint
from seatrial.masking import MASK

MOST_BYTES = 1000
"""Of a body or an answer that is shown."""
_SECRETS = re.compile(
    rb"(?im)^((?:proxy-)?authorization|cookie|set-cookie|x-api-key|x-amz-security-token|[\w-]*(?:token|secret|password)[\w-]*):[^\r\n]*"
)
# What curl sets itself of what it is given.
_CURLS_OWN = frozenset({"host", "content-length"})


def show_sent(endpoint: Endpoint, sent: bytes) -> str:
    """Return the command that sends the same request; of what is no HTTP, the bytes."""
    head, separator, body = sent.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if not separator or len(words) != 3 or not words[2].startswith("HTTP/"):
        return f"bytes {show_bytes(sent)}"
    method, target, _ = words
    parts = urlsplit(endpoint.address)
    where = ["--unix-socket", parts.path] if parts.scheme == "unix" else []
    origin = "http://localhost" if parts.scheme == "unix" else f"{parts.scheme}://{parts.netloc}"
    headers: list[str] = []
    for line in mask(head, endpoint.headers).decode("latin-1").split("\r\n")[1:]:
        if line.partition(":")[0].lower() not in _CURLS_OWN:
            headers += ["-H", line]
    if b"content-type:" not in head.lower() and body:
        headers += ["-H", "Content-Type:"]  # curl would name one of its own.
    source, data = _give_body(body)
    url = _give_target(origin, target)
    return source + shlex.join(["curl", "-i", "-X", method, *where, *headers, *data, *url])


def show_raw(endpoint: Endpoint, sent: bytes) -> str:
    """Return the command that sends the same bytes, whatever they are, over a connection of their own."""
    parts = urlsplit(endpoint.address)
    secure = parts.scheme == "https"
    where = f"-U {shlex.quote(parts.path)}" if parts.scheme == "unix" else f"{parts.hostname} {parts.port or 80}"
    through = f"openssl s_client -quiet -connect {parts.hostname}:{parts.port or 443}" if secure else f"nc {where}"
    shown = mask_lines(sent, endpoint.headers)  # Where such bytes have their heads is not certain.
    more = f"  # the first of {len(sent)} bytes" if len(shown) > MOST_BYTES else ""
    return f"printf '{''.join(_escape(each) for each in shown[:MOST_BYTES])}' | {through}{more}"


def show_received(received: bytes) -> str:
    """Return the beginning of what came back."""
    return show_bytes(mask(received)) if received else "nothing"


def show_bytes(data: bytes) -> str:
    """Return bytes as text where they are, else escaped; the first of many."""
    shown = data[:MOST_BYTES].decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip("\n")
    text = "".join(each if each.isprintable() or each in "\n\t" else f"\\x{ord(each):02x}" for each in shown)
    return f"{text} … ({len(data)} bytes)" if len(data) > MOST_BYTES else text


def mask(data: bytes, names: Iterable[str] = ()) -> bytes:
    """Return a message with the values of headers masked that let somebody in, and of those that are named."""
    head, separator, body = data.partition(b"\r\n\r\n")
    return mask_lines(head, names) + separator + body


def mask_lines(data: bytes, names: Iterable[str] = ()) -> bytes:
    """Return lines with the values of such headers masked, wherever they begin a line."""
    data = _SECRETS.sub(_mask_value, data)
    for name in names:
        data = re.sub(rb"(?im)^(" + re.escape(name.encode("latin-1")) + rb"):[^\r\n]*", _mask_value, data)
    return data


def _mask_value(found: re.Match[bytes]) -> bytes:
    return found[1] + b": " + MASK.encode()


def _give_target(origin: str, target: str) -> list[str]:
    """Return curl's words for a request target, which curl would otherwise make one of its own liking of."""
    if not target.startswith("/"):
        return ["--request-target", target, origin]
    return ["--path-as-is", origin + target] if "/." in target or "%2e" in target.lower() else [origin + target]


def _give_body(body: bytes) -> tuple[str, list[str]]:
    """Return what is put before curl, and curl's own words, for a body of any bytes."""
    if not body:
        return "", ["-H", "Content-Length: 0"]
    if len(body) > MOST_BYTES:
        return f"# {len(body)} bytes of body, which begin {show_bytes(body[:60])!r}\n", ["--data-binary", "@body"]
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        text = "\0"
    if text.isprintable() and not text.startswith("@"):
        return "", ["--data-binary", text]
    return f"base64 -d <<< {base64.b64encode(body).decode()} | ", ["--data-binary", "@-"]


def _escape(byte: int) -> str:
    """Return a byte as printf takes it in single quotes; three octal digits, for a digit may follow."""
    known = {0x0D: "\\r", 0x0A: "\\n", 0x25: "%%", 0x5C: "\\\\"}
    plain = 0x20 <= byte < 0x7F and byte != 0x27
    return known.get(byte) or (chr(byte) if plain else f"\\{byte:03o}")
