"""Where what loads, attacks or breaks may go: to this machine, and to hosts that its user names."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError

_PORTS = {"http": 80, "https": 443}


def choose_address(hostname: str, port: int, *, allowed: Sequence[str], what: str, strictly: bool = False) -> str:
    """Return the IP address to connect to. Of a name with several, the first of this machine is taken.

    Args:
        hostname: a name or an address.
        port: to connect to.
        allowed: hosts that are not this machine, and may be reached all the same.
        what: is sent there, in words.
        strictly: all addresses of the name must be this machine's, not just one: for who connects by the name.

    Raises:
        UsageError: the host has no address, or is not this machine and not in `allowed`.
    """
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{hostname!r} has no address: {why}") from error
    local = [each for each in found if is_this_machine(each)]
    remote = [each for each in found if each not in local]
    if remote and (strictly or not local) and hostname.lower() not in {each.lower() for each in allowed}:
        shown = hostname if hostname == remote[0] else f"{hostname} ({remote[0]})"
        raise UsageError(
            f"{shown} is not this machine, and {what} goes to loopback unless its host is named",
            fix=f"give --allow-remote {hostname} if it is yours",
        )
    return (local or found)[0]


def choose_endpoint_address(endpoint: Endpoint, *, allowed: Sequence[str], what: str, strictly: bool = False) -> str:
    """Return the IP address of an endpoint that `what` may go to, or the path of its Unix socket. Raises as `choose_address`."""
    parts = urlsplit(endpoint.address)
    if parts.scheme == "unix":
        return parts.path
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return choose_address(parts.hostname or "", port, allowed=allowed, what=what, strictly=strictly)


def is_this_machine(address: str) -> bool:
    """Whether an IP address leads to this machine: loopback, or unspecified, which Linux connects to loopback."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any(each is not None and (each.is_loopback or each.is_unspecified) for each in (parsed, mapped))
