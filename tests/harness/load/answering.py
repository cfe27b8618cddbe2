"""A server that answers in a known way: `python answering.py KIND [NUMBER…] [--tls CERTIFICATE]`, of a file with its key.

Writes its port, ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import struct
import sys
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# Whole answers that do not depend on the question.
FIXED = {
    "nonsense": b"220 mail.example ESMTP\r\n",
    "chunked": CHUNKED + b"2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n",
    "failing": b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
    "nan": HEAD + b"Content-Length: 5\r\n\r\n[NaN]",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 4\r\n\r\nfine",
}


class Answering:
    """One server of one kind."""

    def __init__(self, kind: str, numbers: list[float]) -> None:
        self.kind = kind
        self.numbers = numbers
        self.first_s = 0.0
        self.answered = 0
        self.turn = asyncio.Lock()
        self.asked: dict[str, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            if self.kind == "greeting":
                # Speaks first, as a mail server does.
                writer.write(FIXED["nonsense"])
                await reader.read()
                return
            while self.kind == "frame":
                (length,) = struct.unpack("!I", await reader.readexactly(4))
                frame = await reader.readexactly(length)
                writer.write(struct.pack("!I", length) + frame[:2])
                await writer.drain()
                writer.write(frame[2:])
            while self.kind.startswith("events"):
                if not await self.stream(reader, writer):
                    return
            while self.kind != "close":
                body = await read_body(reader)
                self.first_s = self.first_s or time.monotonic()
                self.answered += 1
                await self.wait()
                if not await self.answer(writer, body):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a post with an id, or what asks for an id with its events; returns whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            asked = await reader.readexactly(length)
            self.answered += 1
            name = f"id{self.answered}"
            self.asked[name] = asked
            reply = b'{"event_id": "%s"}' % name.encode()
            closes = self.kind == "events-close"
            ending = b"Connection: close\r\n" if closes else b""
            writer.write(HEAD + ending + b"Content-Length: %d\r\n\r\n" % len(reply) + reply)
            await writer.drain()
            return not closes
        asked = self.asked.pop(head.split()[1].rpartition(b"/")[2].decode())
        kind = b"error" if self.kind == "events-error" else b"complete"
        last = b"" if self.kind == "events-cut" else b"event: %s\ndata: %s\n\n" % (kind, asked)
        writer.write(CHUNKED)
        for part in (b"event: heartbeat\ndata: null\n\n", last[:9], last[9:]):
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if part else b"")
            await writer.drain()
            await asyncio.sleep(0.002)
        # The end of the stream comes after its last event, as Gradio's does.
        await asyncio.sleep(0.05)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def wait(self) -> None:
        """Take the time that this kind takes."""
        if self.kind == "delay":
            await asyncio.sleep(self.numbers[0])
        elif self.kind == "growing":
            await asyncio.sleep(self.numbers[0] * self.answered)
        elif self.kind == "queue":
            async with self.turn:
                await asyncio.sleep(self.numbers[0])
        elif self.kind == "cold":
            # Its first answers take long, those after them queue for one that is quick.
            count, cold_s, service_s = self.numbers
            if self.answered <= count:
                await asyncio.sleep(cold_s)
                return
            async with self.turn:
                await asyncio.sleep(service_s)
        elif self.kind == "stall":
            await asyncio.sleep(600)
        elif self.kind == "freeze":
            delay_s, at_s, length_s = self.numbers
            now_s = time.monotonic()
            due_s = now_s + delay_s
            end_s = self.first_s + at_s + length_s
            if self.first_s + at_s <= due_s < end_s:
                due_s = end_s
            await asyncio.sleep(due_s - now_s)

    async def answer(self, writer: asyncio.StreamWriter, body: bytes) -> bool:
        """Answer; returns whether the connection goes on."""
        if self.kind == "numbered":
            body = b"%d" % self.answered
        sized = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
        if self.kind == "endless":
            writer.write(CHUNKED)
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        if self.kind == "twice":
            sized += body + HEAD + b"Content-Length: 5\r\n\r\nagain"
            body = b""
        cut = {"half": sized + body[:2], "until-close": HEAD + b"\r\n" + body}
        writer.write(cut.get(self.kind) or FIXED.get(self.kind) or sized + body)
        await writer.drain()
        if self.kind == "close-after":
            # Kept, and closed without a word when the answer is out: what an idle time-out of a server looks like.
            return self.answered % int(self.numbers[0]) != 0
        return self.kind not in cut


async def read_body(reader: asyncio.StreamReader) -> bytes:
    """Return the body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")]
    return await reader.readexactly(lengths[0] if lengths else 0)


async def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("numbers", nargs="*", type=float)
    parser.add_argument("--tls", default="")
    given = parser.parse_args()
    tls = None
    if given.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.tls)
    server = await asyncio.start_server(Answering(given.kind, given.numbers).serve, "127.0.0.1", 0, ssl=tls)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    sys.exit(0)


if __name__ == "__main__":
    asyncio.run(main())
