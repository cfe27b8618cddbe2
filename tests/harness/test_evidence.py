"""What a failure shows can be repeated, and gives no secret away."""

from __future__ import annotations

import http.server
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator

import pytest

from seatrial.endpoint import Endpoint
from seatrial.evidence import MASK, MOST_BYTES, mask, show_bytes, show_raw, show_received, show_sent


class Keeping(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    kept: list[tuple[str, str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.kept.append((self.command, self.path, headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's signature
        pass


@pytest.fixture
def keeping() -> Iterator[tuple[Endpoint, list[tuple[str, str, dict[str, str], bytes]]]]:
    kept: list[tuple[str, str, dict[str, str], bytes]] = []
    handler = type("Handler", (Keeping,), {"kept": kept})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Endpoint(address=f"http://127.0.0.1:{server.server_port}", wire="v2", path="loopback"), kept
        server.shutdown()


def post(body: bytes, *headers: bytes) -> bytes:
    fields = [b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([b"POST /infer?a=1 HTTP/1.1", *fields]) + b"\r\n\r\n" + body


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("body", [b"", b"{", b"{\"a\": 'x'}", b"\xff\x00\n", b"@x", "ä\n".encode(), b"$(x) `y`"])
@pytest.mark.parametrize("headers", [(), (b"Content-Type: application/json", b"X-Odd: it's $HOME")])
def test_the_command_sends_the_same_request(
    keeping: tuple[Endpoint, list[tuple[str, str, dict[str, str], bytes]]], body: bytes, headers: tuple[bytes, ...]
) -> None:
    endpoint, kept = keeping
    subprocess.run(
        ["bash", "-c", show_sent(endpoint, post(body, *headers))], check=True, capture_output=True, timeout=30
    )

    method, path, got, sent = kept[0]
    assert (method, path, sent) == ("POST", "/infer?a=1", body)
    for header in headers:
        name, _, value = header.decode().partition(": ")
        assert got[name.lower()] == value
    assert ("content-type" in got) == bool(headers)


def test_what_lets_somebody_in_is_masked() -> None:
    endpoint = Endpoint(address="http://127.0.0.1:1", wire="v2", path="loopback")
    request = post(
        b"body: s3cret stays", b"Authorization: AWS4 s3cret", b"Cookie: a=s3cret", b"X-Session-Token: s3cret"
    )
    shown = show_sent(endpoint, request)

    assert "s3cret" not in shown.replace("body: s3cret stays", "")
    assert shown.count(MASK) == 3
    assert "s3cret" not in show_received(b"HTTP/1.1 200 OK\r\nSet-Cookie: id=s3cret\r\n\r\nfine")
    assert mask(b"no head: s3cret") == b"no head: s3cret"


def test_what_is_no_request_is_shown_as_bytes() -> None:
    endpoint = Endpoint(address="unix:/tmp/x", wire="frame", path="unix-socket")

    assert show_sent(endpoint, b"\x00\x00\x00\x02{}") == r"bytes \x00\x00\x00\x02{}"


def test_of_much_the_beginning_is_shown() -> None:
    assert show_bytes(b"x" * (MOST_BYTES + 1)).endswith(f"… ({MOST_BYTES + 1} bytes)")
    assert show_received(b"") == "nothing"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_raw_bytes_are_shown_as_something_that_writes_them() -> None:
    endpoint = Endpoint(address="http://127.0.0.1:8080", wire="v2", path="loopback")
    sent = b"POST /100%/'x' HTTP/1.1\r\nA : \\n\x00\xff7\n\r\n"
    command, _, sender = show_raw(endpoint, sent).rpartition(" | ")
    assert sender == "nc 127.0.0.1 8080"
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout == sent


def test_raw_bytes_give_no_secret_away_and_say_how_many_they_are() -> None:
    endpoint = Endpoint(address="https://127.0.0.1:8443", wire="v2", path="loopback")
    sent = b"GET / HTTP/1.1\r\nX: \r\n\r\nauthorization: Bearer s3cret\r\n" + b"x" * MOST_BYTES
    shown = show_raw(endpoint, sent)
    assert "s3cret" not in shown
    assert "openssl s_client -quiet -connect 127.0.0.1:8443" in shown
    assert shown.endswith(f"# the first of {len(sent)} bytes")


@pytest.mark.parametrize("target", ["/a/../../b", "/%2E%2e/b", "http://127.0.0.1:9/b", "/plain?x=1"])
def test_a_target_that_curl_would_tidy_up_goes_out_as_it_was(target: str) -> None:
    endpoint = Endpoint(address="http://127.0.0.1:1", wire="v2", path="loopback")
    shown = show_sent(endpoint, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    words = shlex.split(shown)
    if target.startswith("/"):
        assert words[-1] == f"http://127.0.0.1:1{target}"
        assert ("--path-as-is" in words) == (target != "/plain?x=1")
    else:
        assert words[-3:] == ["--request-target", target, "http://127.0.0.1:1"]
