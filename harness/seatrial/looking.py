"""What a deployment may have to look inside it with: its connections, descriptors, privileges, listeners, and its model's place.

Each is for a capability that a target claims; a deployment has the methods, and needs no base class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection that a deployment opened itself; `state` as the kernel names it."""

    address: str
    port: int
    state: str


@runtime_checkable
class ShowsConnections(Protocol):
    """A deployment that claims `connections`."""

    def list_peers(self) -> Sequence[Peer]:
        """Return whom its processes are connected to now, without those who connected to it."""


@runtime_checkable
class CountsDescriptors(Protocol):
    """A deployment that claims `descriptors`."""

    def count_descriptors(self) -> int:
        """Return how many file descriptors its processes have open, all together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """What the first process of a deployment may do: /proc/1/status, proc_pid_status(5).

    Args:
        uid: the effective user, in its own namespace.
        capabilities: the effective set, as a bit mask.
        no_new_privileges: whether nothing it executes can gain any.
        seccomp: 0 no filter, 1 strict, 2 filter.
    """

    uid: int
    capabilities: int
    no_new_privileges: bool
    seccomp: int


@runtime_checkable
class ShowsPrivileges(Protocol):
    """A deployment that claims `privileges`."""

    def read_privileges(self) -> Privileges:
        """Read them from inside."""


Side = Literal["host", "inside"]
"""Where something listens: on this machine, or in a network of the deployment's own, a container's or a pod's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A TCP socket that takes connections, or a port that an engine publishes on this machine.

    Args:
        address: that it is bound to; `0.0.0.0` and `::` are all of its side.
        port: that it is bound to.
        side: whose network the address is of.
        owner: which process has it, or who publishes it, in words; empty where nobody can tell.
    """

    address: str
    port: int
    side: Side
    owner: str = ""


@runtime_checkable
class ShowsListeners(Protocol):
    """A deployment that claims `listeners`."""

    def list_listeners(self) -> Sequence[Listener]:
        """Return where its processes listen now, and what is published of it; Unix sockets and UDP do not count.

        Raises:
            UnsupportedError: not all of its processes can be looked at here.
        """

    def declare_ports(self) -> Mapping[Side, frozenset[int]]:
        """Return the ports on which it is meant to listen, its endpoint's own among them; none on a side that is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """Where a model lies in a container.

    Args:
        path: absolute.
        files: SHA-256 in hexadecimal of every file below it, by relative path.
        is_writable: it is mounted so that somebody could write there.
    """

    path: str
    files: Mapping[str, str]
    is_writable: bool


@runtime_checkable
class ShowsModelPlace(Protocol):
    """A deployment that claims `model-place`: a contract says where its container finds the model."""

    def read_model_place(self) -> ModelPlace:
        """Look into the container. Raises UnsupportedError when there is nothing to look with."""
