"""Where a deployment listens, held against where it may."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from seatrial.looking import Listener, Side

Declared = Mapping[Side, frozenset[int]]
_SIDES: Mapping[Side, str] = {"host": "on this machine", "inside": "in its own network"}


def judge_listeners(listeners: Sequence[Listener], declared: Declared) -> dict[str, str]:
    """Return what is wrong by case; an empty sentence where nothing is."""
    reached, further = find_open(listeners), find_undeclared(listeners, declared)
    silent: Declared = {side: declared[side] for side in find_silent(listeners, declared)}
    allowed = describe_declared(declared)
    return {
        "its own port": f"nothing of it listens at {describe_declared(silent)}: who answers there?" if silent else "",
        "addresses": f"other machines can reach {_list(reached)}" if reached else "",
        "ports": f"it may listen at {allowed}, and not at {_list(further)}" if further else "",
    }


def find_open(listeners: Iterable[Listener]) -> list[Listener]:
    """Those that other machines could reach: on this machine, at any address but a loopback one.

    In a network of its own a server has no other way to be reached than all its addresses, and who publishes it chooses.
    """
    return [each for each in listeners if each.side == "host" and not is_loopback(each.address)]


def find_undeclared(listeners: Iterable[Listener], declared: Declared) -> list[Listener]:
    """Those at ports that are not declared for their side."""
    return [each for each in listeners if each.port not in declared.get(each.side, frozenset())]


def find_silent(listeners: Sequence[Listener], declared: Declared) -> list[Side]:
    """Sides for which ports are declared, and where nothing listens at any of them: then somebody else answers there."""
    return [
        side
        for side, ports in declared.items()
        if ports and not any(each.side == side and each.port in ports for each in listeners)
    ]


def describe_listener(listener: Listener) -> str:
    """Return where it listens, and whose it is where that is known."""
    owner = f" ({listener.owner})" if listener.owner else ""
    return f"{listener.address} port {listener.port} {_SIDES[listener.side]}{owner}"


def _list(listeners: Iterable[Listener]) -> str:
    return "; ".join(map(describe_listener, listeners))


def describe_declared(declared: Declared) -> str:
    """Return the declared ports of all sides."""
    told = [
        f"port {', '.join(map(str, sorted(ports)))} {_SIDES[side]}" for side, ports in sorted(declared.items()) if ports
    ]
    return " and ".join(told) or "no port"


def is_loopback(address: str) -> bool:
    """Whether only this machine itself can reach an address."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback
