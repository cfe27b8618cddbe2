"""What a journal can hold: one record for each kind of thing that a trial creates.

The reaper reads these as plain JSON (`kind` and the fields); it never imports this module.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePath
from typing import Any, ClassVar

from seatrial.errors import UsageError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that a trial creates. Recorded before it is created, released after it was given back."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the kind as JSON values."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Process(Entry):
    """A running process. `start_time` tells it from a later process with the same pid."""

    kind = "process"
    pid: int
    start_time: int
    """Clock ticks after boot where /proc exists, else seconds since 1970."""
    pgid: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spawning(Entry):
    """A process about to be started, to be found by SEATRIAL_TRIAL=`marker` in its environment."""

    kind = "spawning"
    marker: str


def _check_absolute(path: str) -> None:
    if not PurePath(path).is_absolute():
        raise UsageError(f"The journal was given the relative path {path!r}.", fix="give the absolute path.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Directory(Entry):
    """A directory: removed only when it lies under the temporary directory or holds `.seatrial-owned`."""

    kind = "directory"
    path: str

    def __post_init__(self) -> None:
        _check_absolute(self.path)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class File(Entry):
    """A file or socket file: removed only under the temporary directory or below a `.seatrial-owned`."""

    kind = "file"
    path: str

    def __post_init__(self) -> None:
        _check_absolute(self.path)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Container(Entry):
    """A container (and its anonymous volumes) that carries the label seatrial.trial=ID on the engine `docker_host`."""

    kind = "container"
    docker_host: str
    """URL of the engine, such as `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`."""
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Network(Entry):
    """A network that carries the label seatrial.trial=ID on the engine `docker_host`."""

    kind = "network"
    docker_host: str
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image(Entry):
    """An image that carries the label seatrial.trial=ID on the engine `docker_host`."""

    kind = "image"
    docker_host: str
    name: str = ""


def _check_prefix(what: str, name: str) -> None:
    if not name.startswith("seatrial-"):
        raise UsageError(
            f"A {what} named {name!r} carries no label of ours, so only its name can tell that it is ours.",
            fix="start its name with 'seatrial-' and put the trial's id into it.",
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KindCluster(Entry):
    """A kind cluster: every container labelled io.x-k8s.kind.cluster=`name`. The name starts with `seatrial-`."""

    kind = "kind-cluster"
    name: str
    docker_host: str

    def __post_init__(self) -> None:
        _check_prefix("kind cluster", self.name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NamedNetwork(Entry):
    """A network without labels (kind creates its own so). The name starts with `seatrial-`."""

    kind = "named-network"
    name: str
    docker_host: str

    def __post_init__(self) -> None:
        _check_prefix("network", self.name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Namespace(Entry):
    """A Kubernetes namespace, removed when its name holds the trial's id or it carries the label seatrial.trial=ID."""

    kind = "namespace"
    name: str
    context: str
    kubeconfig: str = ""
    """Absolute path; empty for kubectl's own default."""

    def __post_init__(self) -> None:
        if self.kubeconfig:
            _check_absolute(self.kubeconfig)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed(Entry):
    """A kept kind cluster or network in use by this trial: never removed at its end, nor by a sweep meanwhile."""

    kind = "borrowed"
    name: str


KINDS: dict[str, type[Entry]] = {
    cls.kind: cls
    for cls in (
        Process,
        Spawning,
        Directory,
        File,
        Container,
        Network,
        Image,
        KindCluster,
        NamedNetwork,
        Namespace,
        Borrowed,
    )
}


def read_entry(fields: dict[str, Any]) -> Entry:
    """Return the entry that `Entry.to_json` made `fields` of. Raises KeyError or TypeError when it did not."""
    values = dict(fields)
    return KINDS[values.pop("kind")](**values)
