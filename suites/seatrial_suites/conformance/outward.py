"""Whom a deployment connects to while it is asked."""

from __future__ import annotations

import ipaddress
import threading
from types import TracebackType
from typing import Self

from seatrial.looking import Peer, ShowsConnections

OUTSIDE: frozenset[str] = frozenset()
"""Addresses that count as another machine's although they are this one's own."""
_PAUSE_S = 0.02


class Watch:
    """Looks at the connections of a deployment again and again during the block, and once more at its end.

    One that is opened and closed between two looks is not seen, unless the look is from inside a network of its own, where
    the kernel shows what the deployment closed for a minute (TIME_WAIT).
    """

    def __init__(self, deployment: ShowsConnections) -> None:
        self._deployment = deployment
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: Exception | None = None
        self.looks = 0
        self.outside: dict[str, str] = {}
        """States by peer of another machine."""

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        if kind is None:
            if self._error is not None:
                raise self._error
            self._look()

    def _run(self) -> None:
        try:
            while not self._ending.wait(_PAUSE_S):
                self._look()
        except Exception as error:  # noqa: BLE001 - raised at the end of the block
            self._error = error

    def _look(self) -> None:
        for peer in self._deployment.list_peers():
            if is_outside(peer):
                self.outside.setdefault(f"{peer.address} port {peer.port}", peer.state)
        self.looks += 1


def is_outside(peer: Peer) -> bool:
    """Whether a peer is another machine, or counts as one."""
    address = ipaddress.ip_address(peer.address.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    real = mapped or address
    return str(real) in OUTSIDE or not real.is_loopback
