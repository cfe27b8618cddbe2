"""A bad network: a proxy between client and server that does to an answer what Toxiproxy's toxics do.

The toxics are those of https://github.com/Shopify/toxiproxy#toxics, towards the client.
"""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from seatrial.client import connect
from seatrial.endpoint import Endpoint

_CHUNK_BYTES = 1 << 16
_CONNECT_TIMEOUT_S = 10.0
_POLL_S = 0.1
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST (socket(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """What is done to the bytes of answers, counted over all connections.

    Args:
        piece_bytes: they go on in pieces of so many; 0: as they come (`slicer`, `bandwidth`).
        pause_s: before each piece (`latency`, `bandwidth`).
        limit_bytes: after so many none goes on; None: all do (`limit_data`).
        ending: what comes then: the connection is closed, reset (`reset_peer`), or stays open in silence (`timeout`).
    """

    piece_bytes: int = 0
    pause_s: float = 0.0
    limit_bytes: int | None = None
    ending: Literal["close", "reset", "silence"] = "close"


class Proxy:
    """Carries connections to an endpoint. Made by `open_proxy`.

    Attributes:
        endpoint: where to connect to.
        passed_bytes: bytes of answers that went on.
    """

    def __init__(self, upstream: Endpoint, toxic: Toxic, listener: socket.socket, address: str) -> None:
        self.endpoint = dataclasses.replace(upstream, address=address)
        self.passed_bytes = 0
        self._upstream = upstream
        self._toxic = toxic
        self._listener = listener
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        """Take connections until `close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._carry, args=(client,), daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """End every connection."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _carry(self, client: socket.socket) -> None:
        """In one thread for both ways: a socket that another thread waits for sends no RST when it is closed."""
        with client, contextlib.suppress(OSError), connect(self._upstream, _CONNECT_TIMEOUT_S) as server:
            while not self._closing.is_set():
                readable, _, _ = select.select([client, server], [], [], _POLL_S)
                for source in readable:
                    data = source.recv(_CHUNK_BYTES)
                    if not data:
                        return
                    if source is client:
                        server.sendall(data)
                    elif not self._pass_on(data, client):
                        return

    def _pass_on(self, data: bytes, client: socket.socket) -> bool:
        """Send a part of an answer on; returns False when the connection is to end."""
        toxic = self._toxic
        size = toxic.piece_bytes or len(data)
        for start in range(0, len(data), size):
            if toxic.pause_s and self._closing.wait(toxic.pause_s):
                return False
            piece = data[start : start + size]
            if toxic.limit_bytes is not None:
                piece = piece[: toxic.limit_bytes - self.passed_bytes]
            # Before it is sent: whoever has the whole answer may look at once.
            self.passed_bytes += len(piece)
            client.sendall(piece)
            if toxic.limit_bytes is not None and self.passed_bytes >= toxic.limit_bytes:
                self._end(client)
                return False
        return True

    def _end(self, client: socket.socket) -> None:
        if self._toxic.ending == "reset" and client.family != socket.AF_UNIX:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        while self._toxic.ending == "silence" and not self._closing.is_set():
            readable, _, _ = select.select([client], [], [], _POLL_S)
            if readable and not client.recv(_CHUNK_BYTES):
                return


@contextlib.contextmanager
def open_proxy(endpoint: Endpoint, toxic: Toxic) -> Iterator[Proxy]:
    """Listen during the block, on 127.0.0.1 or, for a Unix socket, on another one. Not for TLS, which names its host."""
    with contextlib.ExitStack() as stack:
        if urlsplit(endpoint.address).scheme == "unix":
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seatrial-proxy-"))) / "socket"
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen()
            address = f"unix:{path}"
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        proxy = Proxy(endpoint, toxic, listener, address)
        serving = threading.Thread(target=proxy.serve, daemon=True)
        serving.start()
        try:
            yield proxy
        finally:
            proxy.close()
            serving.join()
