"""The least that a server in uvloop can do: writes one answer for each read, and looks at nothing. Faster than any client here.

`python bare_server.py` writes its port to standard output, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine"


class Answering(asyncio.Protocol):
    """One connection, on which one request at a time comes, in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the protocol's signature
        self._write(ANSWER)


async def answer() -> None:
    """Serve until nobody holds standard input any more."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(answer())
