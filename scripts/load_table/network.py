"""A network of their own for a server and its clients: without packet filters, with Linux's usual congestion control."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
# A host may allow cubic to its own network alone; reno is allowed everywhere, and paces by no timers either.
_SET_UP = (
    "ip link set lo up && cd /proc/sys/net/ipv4 && "
    "{ echo cubic > tcp_congestion_control || echo reno > tcp_congestion_control; } 2>/dev/null && "
    "cat tcp_congestion_control && exec cat"
)


class Network(NamedTuple):
    """Where servers and clients are."""

    within: tuple[str, ...]
    """The command that runs another one there; empty for the host's own."""
    told: str


@contextlib.contextmanager
def make_network() -> Iterator[Network]:
    """Give one that nobody else is on, for the length of the block; the host's own where none can be made.

    A container engine has each packet of a host pass its filters, and a host may pace each connection by timers (BBR): both cost
    more than a load client does, and say nothing of it.
    """
    spaces = ("--net",) if os.geteuid() == 0 else ("--net", "--user")
    mapped = () if os.geteuid() == 0 else ("--map-root-user",)
    with contextlib.ExitStack() as stack:
        try:
            holder = stack.enter_context(
                subprocess.Popen(
                    ["unshare", *spaces, *mapped, "sh", "-c", _SET_UP],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        except OSError as error:
            yield _name_host(str(error))
            return
        stack.callback(holder.kill)
        assert holder.stdout is not None
        assert holder.stderr is not None
        control = holder.stdout.readline().strip()
        if control not in {"cubic", "reno"}:
            yield _name_host(holder.stderr.read().strip() or "its congestion control cannot be set")
            return
        kept = () if os.geteuid() == 0 else ("--preserve-credentials",)
        yield Network(
            ("nsenter", "--target", str(holder.pid), *spaces, *kept, "--"),
            f"a network namespace of its own, without packet filters, with {control}",
        )


def _name_host(why: str) -> Network:
    control = CONGESTION_CONTROL.read_text().strip() if CONGESTION_CONTROL.exists() else "an unknown congestion control"
    return Network((), f"the host's network, with {control}: no namespace could be made ({why})")
