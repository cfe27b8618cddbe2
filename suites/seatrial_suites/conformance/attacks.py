"""Requests that break HTTP/1.1, or stretch it, made of a question that does not; and what RFC 9112 wants of a server then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Fate = Literal["refuse", "answer", "wait"]
"""A status of 4xx, 501 or 505, or an end of the connection; a status of 2xx; nothing until more comes."""
MARK = b"seatrial-smuggled"
_LONG_BYTES = 100_000
_MANY_HEADERS = 5_000
_OVERFLOWING = 1 << 64


@dataclass(frozen=True, slots=True)
class Question:
    """A whole request, in parts."""

    line: bytes
    headers: tuple[bytes, ...]
    body: bytes
    scheme: bytes = b"http"

    @classmethod
    def take_apart(cls, sent: bytes, scheme: str = "http") -> Question:
        """Make one of the bytes of a request."""
        head, _, body = sent.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        return cls(line, tuple(headers), body, scheme.encode())

    def write(
        self, *added: bytes, line: bytes = b"", without: Sequence[bytes] = (), body: bytes | None = None
    ) -> bytes:
        """Return its bytes, with header lines added, or left out by name in lower case."""
        kept = [each for each in self.headers if each.partition(b":")[0].lower() not in without]
        return b"\r\n".join([line or self.line, *kept, *added, b"", self.body if body is None else body])

    def frame(self, *added: bytes, body: bytes, line: bytes = b"") -> bytes:
        """Return its bytes with other lines to tell where the body ends, and another body."""
        return self.write(*added, line=line, without=(b"content-length",), body=body)

    @property
    def target(self) -> bytes:
        """What the request line asks for."""
        return self.line.split(b" ")[1]

    @property
    def host(self) -> bytes:
        """The value of its Host header."""
        return next(each.partition(b":")[2].strip() for each in self.headers if each.lower().startswith(b"host:"))

    @property
    def chunked(self) -> bytes:
        """Its body as one chunk."""
        return b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.body), self.body)

    @property
    def smuggled(self) -> bytes:
        """A request of its own, to be hidden in another."""
        return b"GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (MARK, self.host)


@dataclass(frozen=True, slots=True)
class Attack:
    """One such request.

    Args:
        name: of the case.
        sentence: what is demanded, and where.
        make: the bytes, of a question.
        allowed: what may become of it.
        closes: the connection must end with the first response.
        most: responses that it may have.
    """

    name: str
    sentence: str
    make: Callable[[Question], bytes]
    allowed: frozenset[Fate] = frozenset({"refuse"})
    closes: bool = False
    most: int = 1


REFUSED: frozenset[Fate] = frozenset({"refuse"})
EITHER: frozenset[Fate] = frozenset({"refuse", "answer"})
ANSWERED: frozenset[Fate] = frozenset({"answer"})
UNBOUNDED: frozenset[Fate] = frozenset({"refuse", "wait"})

_BOTH = "RFC 9112, 6.1: one with Content-Length and Transfer-Encoding goes by the latter or is refused, and the connection ends"
_LENGTH = "RFC 9112, 6.3: a request with an invalid Content-Length is answered 400, and the connection ends"
_CODING = "RFC 9112, 6.3: where chunked is not the final coding the answer is 400, and the connection ends"
_CHUNK = "RFC 9112, 7.1: a chunk is a hexadecimal size, CRLF, as many bytes, CRLF"
_HOST = "RFC 9112, 3.2: a request without Host, with two, or with an invalid one is answered 400"
_COLON = "RFC 9112, 5.1: whitespace between a header's name and its colon is answered 400"
_FOLD = "RFC 9112, 5.2: a folded line is answered 400, or read as spaces"
_CR = "RFC 9112, 2.2: a CR without LF makes the element invalid, or is read as a space"
_LINE = "RFC 9112, 3: an invalid request line is answered 400"
_UNREAD = "RFC 9112, 9.3: a server reads the whole body, or ends the connection after its response"


def _length(name: str, write: Callable[[int], bytes], allowed: frozenset[Fate] = REFUSED) -> Attack:
    """A wrong Content-Length, before a body that has a request behind what some would take for its end."""
    return Attack(
        name,
        _LENGTH,
        lambda q: q.frame(b"Content-Length: " + write(len(q.body)), body=q.body + q.smuggled),
        allowed,
        closes="wait" not in allowed,
    )


def _coding(name: str, line: bytes, allowed: frozenset[Fate] = REFUSED, sentence: str = _CODING) -> Attack:
    """A wrong Transfer-Encoding, whose body some would take to end early, before another request."""
    return Attack(
        name, sentence, lambda q: q.frame(line, body=q.chunked + q.smuggled), allowed, closes=sentence == _CODING
    )


def _chunk(name: str, write: Callable[[Question], bytes], allowed: frozenset[Fate] = REFUSED) -> Attack:
    return Attack(name, _CHUNK, lambda q: q.frame(b"Transfer-Encoding: chunked", body=write(q) + q.smuggled), allowed)


def _by_length(q: Question, coding: bytes) -> bytes:
    """A length that covers the hidden request, which an empty chunked body would end before."""
    body = b"0\r\n\r\n" + q.smuggled
    return q.frame(b"Content-Length: %d" % len(body), coding, body=body)


def _by_chunks(q: Question) -> bytes:
    """A chunk that is the hidden request, and a length that ends before it."""
    size = b"%x\r\n" % len(q.smuggled)
    body = size + q.smuggled + b"\r\n0\r\n\r\n"
    return q.frame(b"Content-Length: %d" % len(size), b"Transfer-Encoding: chunked", body=body)


def _two_lengths(q: Question, *, longer_first: bool) -> bytes:
    lengths = sorted((len(q.body), len(q.body) + len(q.smuggled)), reverse=longer_first)
    return q.frame(*(b"Content-Length: %d" % each for each in lengths), body=q.body + q.smuggled)


def _unread(q: Question, line: bytes) -> bytes:
    return q.frame(b"Content-Length: %d" % len(q.smuggled), body=q.smuggled, line=line)


def list_framing() -> list[Attack]:
    """Return what is about where a request ends."""
    return [
        Attack("length and chunks", _BOTH, lambda q: _by_length(q, b"Transfer-Encoding: chunked"), EITHER, closes=True),
        Attack("chunks and a shorter length", _BOTH, _by_chunks, EITHER, closes=True),
        Attack("two lengths, the shorter first", _LENGTH, lambda q: _two_lengths(q, longer_first=False), closes=True),
        Attack("two lengths, the longer first", _LENGTH, lambda q: _two_lengths(q, longer_first=True), closes=True),
        _length("a negative length", lambda n: b"-%d" % n),
        _length("a length with a plus", lambda n: b"+%d" % n),
        _length("a hexadecimal length", lambda n: b"0x%x" % n),
        _length("a length with an underscore", lambda n: b"0_%d" % n),
        _length("a length that is a word", lambda _: b"many"),
        _length("an empty length", lambda _: b""),
        _length("a length beyond 64 bits", lambda n: b"%d" % (_OVERFLOWING + n), UNBOUNDED),
        Attack(
            "a length that lists another",
            _LENGTH,
            lambda q: q.frame(b"Content-Length: %d, %d" % (len(q.body), len(q.body) + 1), body=q.body + q.smuggled),
            closes=True,
        ),
        _coding("xchunked", b"Transfer-Encoding: xchunked"),
        _coding("chunked, then identity", b"Transfer-Encoding: chunked, identity"),
        _coding("chunked after a vertical tab", b"Transfer-Encoding: \x0bchunked"),
        Attack("xchunked with a length", _BOTH, lambda q: _by_length(q, b"Transfer-Encoding: xchunked"), closes=True),
        Attack(
            "chunked twice",
            "RFC 9112, 7: chunked is applied once",
            lambda q: q.frame(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=q.chunked),
            EITHER,
        ),
        Attack(
            "chunks in HTTP/1.0",
            "RFC 9112, 6.1: Transfer-Encoding in HTTP/1.0 is a faulty framing, and the connection ends",
            lambda q: q.frame(
                b"Transfer-Encoding: chunked",
                body=q.chunked + q.smuggled,
                line=q.line.replace(b"HTTP/1.1", b"HTTP/1.0"),
            ),
            EITHER,
            closes=True,
        ),
        _chunk("a chunk size that is no number", lambda q: b"xyz\r\n%s\r\n0\r\n\r\n" % q.body),
        _chunk("a negative chunk size", lambda q: b"-" + q.chunked),
        _chunk("a chunk size with 0x", lambda q: b"0x" + q.chunked),
        _chunk("an empty chunk size", lambda q: b"\r\n%s\r\n0\r\n\r\n" % q.body),
        _chunk(
            "a chunk size beyond 64 bits", lambda q: b"1%016x\r\n%s\r\n0\r\n\r\n" % (len(q.body), q.body), UNBOUNDED
        ),
        _chunk("a chunk longer than its size", lambda q: b"%x\r\n%s\r\n0\r\n\r\n" % (len(q.body) - 1, q.body)),
        _chunk("a chunk without CRLF", lambda q: b"%x\r\n%s0\r\n\r\n" % (len(q.body), q.body)),
        Attack("a body on a GET", _UNREAD, lambda q: _unread(q, b"GET %s HTTP/1.1" % q.target), EITHER),
        Attack("a body for a path that is not there", _UNREAD, lambda q: _unread(q, b"POST /nowhere HTTP/1.1"), EITHER),
    ]


def list_heads() -> list[Attack]:
    """Return what is about the request line and headers."""
    return [
        Attack("no host", _HOST, lambda q: q.write(without=(b"host",))),
        Attack("two hosts", _HOST, lambda q: q.write(b"Host: elsewhere.example")),
        Attack("a host that is none", _HOST, lambda q: q.write(b"Host: a b/c@d", without=(b"host",))),
        Attack("a space before a colon", _COLON, lambda q: q.write(b"X-Seatrial : 1")),
        Attack(
            "a space before the colon of Transfer-Encoding",
            _COLON,
            lambda q: _by_length(q, b"Transfer-Encoding : chunked"),
        ),
        Attack("a space in a header's name", "RFC 9112, 5.1: a name is a token", lambda q: q.write(b"X Seatrial: 1")),
        Attack("a header without a colon", "RFC 9112, 5: a header has a colon", lambda q: q.write(b"X-Seatrial")),
        Attack("a header without a name", "RFC 9112, 5.1: a name is a token", lambda q: q.write(b": 1")),
        Attack("a folded header", _FOLD, lambda q: q.write(b"X-Seatrial: one\r\n two"), EITHER),
        Attack(
            "a folded Transfer-Encoding",
            _FOLD,
            lambda q: _by_length(q, b"Transfer-Encoding:\r\n chunked"),
            EITHER,
            closes=True,
        ),
        Attack(
            "whitespace before the first header",
            "RFC 9112, 2.2: such lines are refused, or left out",
            lambda q: q.write(line=q.line + b"\r\n X-Seatrial: 1"),
            EITHER,
        ),
        Attack("a CR in a header", _CR, lambda q: q.write(b"X-Seatrial: one\rtwo"), EITHER),
        Attack(
            "a header behind a CR", _CR, lambda q: _by_length(q, b"X-Seatrial: 1\rTransfer-Encoding: chunked"), EITHER
        ),
        Attack(
            "lines that end with LF",
            "RFC 9112, 2.2: a single LF may be taken for the end of a line",
            lambda q: q.write(b"X-Seatrial: 1\nX-Another: 2"),
            EITHER,
        ),
        Attack(
            "NUL in a header",
            "RFC 9110, 5.5: NUL in a value is refused, or read as a space",
            lambda q: q.write(b"X-Seatrial: one\0two"),
            EITHER,
        ),
        Attack("NUL in a header's name", "RFC 9112, 5.1: a name is a token", lambda q: q.write(b"X-Sea\0trial: 1")),
        Attack(
            "a header of 100 kB",
            "RFC 9110, 5.4: one that is too large is answered 4xx",
            lambda q: q.write(b"X-Seatrial: " + b"a" * _LONG_BYTES),
            EITHER,
        ),
        Attack(
            "5000 headers",
            "RFC 9110, 5.4: too many are answered 4xx",
            lambda q: q.write(*(b"X-%d: 1" % each for each in range(_MANY_HEADERS))),
            EITHER,
        ),
        Attack(
            "HTTP/9.9",
            "RFC 9110, 6.2 and 15.6.6: a major version that is not spoken may be answered 505, or as the highest that is",
            lambda q: q.write(line=q.line.replace(b"HTTP/1.1", b"HTTP/9.9")),
            EITHER,
        ),
        Attack("a version that is none", _LINE, lambda q: q.write(line=q.line.replace(b"HTTP/1.1", b"HTTP/one"))),
        Attack("a target with a space", _LINE, lambda q: q.write(line=q.line.replace(b" HTTP", b"/a b HTTP"))),
        Attack("a method that is no token", _LINE, lambda q: q.write(line=b"(" + q.line)),
        Attack("a request line of one word", _LINE, lambda q: q.write(line=b"question")),
        Attack(
            "the beginning of TLS",
            _LINE,
            lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
        ),
        Attack(
            "a target of 100 kB",
            "RFC 9112, 3: a target that is too long is answered 414",
            lambda q: q.write(line=q.line.replace(b" HTTP", b"/" + b"a" * _LONG_BYTES + b" HTTP")),
        ),
        Attack(
            "a target with scheme and host",
            "RFC 9112, 3.2.2: a server accepts the absolute form",
            lambda q: q.write(line=q.line.replace(q.target, q.scheme + b"://" + q.host + q.target)),
            ANSWERED,
        ),
        Attack(
            "a target that is a host",
            "RFC 9112, 3.2.3: only CONNECT asks for one",
            lambda q: q.write(line=q.line.replace(q.target, q.host)),
        ),
        Attack(
            "CONNECT",
            "RFC 9110, 9.3.6: an origin server opens no tunnel",
            lambda q: b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n" + q.smuggled,
            most=2,
        ),
    ]
