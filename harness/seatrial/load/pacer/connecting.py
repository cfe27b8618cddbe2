"""Connections to where a plan's requests go: of which kind they are, and how they are made."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

from seatrial.load.pacer.call_connection import CallConnection
from seatrial.load.pacer.connection import Connection, Ended
from seatrial.load.pacer.frame_connection import FrameConnection
from seatrial.load.pacer.known_heads import KnownHeads
from seatrial.load.pacer.one_step_connection import OneStepConnection
from seatrial.load.plan import Destination, Plan

CONNECT_TIMEOUT_S: Final = 10.0


class Connector:
    """Makes connections as a plan has them.

    Attributes:
        known_heads: of the responses to all of them.
    """

    def __init__(self, plan: Plan) -> None:
        self.known_heads = KnownHeads()
        self._plan = plan
        self._tls = _make_tls(plan.destination)
        self._loop = asyncio.get_running_loop()

    def make(self, ended: Ended, number: int) -> Connection:
        """Return a connection that is not open yet."""
        plan = self._plan
        bound = plan.max_body_bytes
        if plan.framing == "frame":
            return FrameConnection(ended, number, max_body_bytes=bound)
        if plan.follow_up is not None:
            return CallConnection(ended, number, max_body_bytes=bound, follow_up=plan.follow_up)
        head_only = plan.requests[0].startswith(b"HEAD ")
        return OneStepConnection(ended, number, max_body_bytes=bound, known=self.known_heads, head_only=head_only)

    async def connect(self, connection: Connection) -> None:
        """Open a transport for a connection. Raises OSError, also when it takes longer than ten seconds."""
        destination = self._plan.destination
        name = destination.server_name or None
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if destination.unix_path:
                await self._loop.create_unix_connection(lambda: connection, destination.unix_path)
            else:
                await self._loop.create_connection(
                    lambda: connection,
                    destination.host,
                    destination.port,
                    ssl=self._tls,
                    server_hostname=name if self._tls else None,
                )


def _make_tls(destination: Destination) -> ssl.SSLContext | None:
    if not destination.tls:
        return None
    context = ssl.create_default_context()
    if destination.ca_file:
        context.load_verify_locations(Path(destination.ca_file))
    return context
