"""The least that a client in uvloop can do: asks again as soon as bytes of an answer are there, reads and records nothing.

`python bare_loop.py HOST PORT USERS SECONDS`, the request on standard input; writes the requests a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop


class Asking(asyncio.Protocol):
    """One user."""

    answers = 0

    def __init__(self, request: bytes) -> None:
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write
        self._write(self._request)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the protocol's signature
        Asking.answers += 1
        self._write(self._request)


async def ask(host: str, port: int, users: int, seconds: float, request: bytes) -> float:
    """Return the requests a second."""
    loop = asyncio.get_running_loop()
    for _ in range(users):
        await loop.create_connection(lambda: Asking(request), host, port)
    before, began_s = Asking.answers, time.perf_counter()
    await asyncio.sleep(seconds)
    return (Asking.answers - before) / (time.perf_counter() - began_s)


if __name__ == "__main__":
    host, port, users, seconds = sys.argv[1:]
    rate = uvloop.run(ask(host, int(port), int(users), float(seconds), sys.stdin.buffer.read()))
    sys.stdout.write(f"{rate}\n")
