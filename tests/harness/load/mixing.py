"""A server whose answers are of several kinds, in turn: `python mixing.py SECONDS`; writes its port, ends with its stdin.

Of ten requests one is refused at once; of fifty one is never answered, one is refused after GIVES_UP_S, and one cut off by then
in the midst of its answer, as by a gateway that gives up. The others are answered after SECONDS.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
REFUSAL = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"
TIMEOUT = b"HTTP/1.1 504 No\r\nContent-Length: 2\r\n\r\nno"
GIVES_UP_S = 0.2
NUMBERS = count()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection; requests have no body."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            number = next(NUMBERS)
            if number % 50 == 7:
                await reader.read()
                return
            if number % 50 == 27:
                writer.write(ANSWER[:20])
            if number % 10 != 3:
                await asyncio.sleep(GIVES_UP_S if number % 50 in {17, 27} else float(sys.argv[1]))
            if number % 50 == 27:
                writer.transport.abort()
                return
            writer.write(REFUSAL if number % 10 == 3 else TIMEOUT if number % 50 == 17 else ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until the standard input ends."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    sys.exit(0)


if __name__ == "__main__":
    asyncio.run(main())
