"""What a target is: a technology as this harness drives it, and the life of one deployment on it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory, Resources
from seatrial.owner import Ownership
from seatrial.requirement import Requirement

Progress = Callable[[str], None]
Capability = Literal[
    "batch",
    "update",
    "rolling-update",
    "kill",
    "drain",
    "self-heal",
    "limits",
    "version-in-answer",
    "usage",
    "page",
    "scale",
    "network-floor",
    "auth",
    "model-directory",
    "logs",
    "metrics",
    "connections",
    "descriptors",
    "privileges",
    "listeners",
    "store",
    "model-place",
    "concurrency",
    "names",
]
"""What can be asked of a target.

`model-directory`: it loads the model directory that the trial gives it. `logs`: `read_logs` has what the server writes.
`metrics`: GET /metrics at its address gives counters in Prometheus' text format, of all its instances.
`store`, `scale`, `concurrency`: the deployment has what `LeansOnStore`, `Scales` or `DeclaresConcurrency` says; `connections`,
`descriptors`, `privileges`, `listeners`, `model-place`: what `ShowsConnections`, `CountsDescriptors`, `ShowsPrivileges`,
`ShowsListeners` or `ShowsModelPlace` of `seatrial.looking` says; `names`: what `seatrial.naming.HasNames` says.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """What of the technology is real, emulated or absent in this run; short phrases."""

    real: tuple[str, ...]
    emulated: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources of a deployment since it started; None where the technology cannot tell."""

    cpu_s: float | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    throttled_periods: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """CPU and memory limits as read back from the deployment; None: not limited.

    Args:
        cpus: how many it may use.
        memory_bytes: how much it may use.
        cpu_set: those that it may use, where it is kept to some of the machine's; None where the limit is a quota.
        is_known: whether anybody can tell; else nothing follows from None.
    """

    cpus: float | None
    memory_bytes: int | None
    cpu_set: tuple[int, ...] | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """How a graceful stop went: seconds until it was gone, and whether it went by itself within the grace time.

    `asked_at_s`, on the clock of `time.monotonic`, is a moment right before it was asked to go; None: when `stop` was called.
    """

    stopped_s: float
    graceful: bool
    exit_code: int | None = None
    asked_at_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeployContext:
    """What a target gets from the trial.

    Args:
        ownership: journals and owns everything that is created.
        work_dir: a directory of this deployment, removed at the end; build contexts, sockets, stores go here.
        cache_dir: kept between trials; wheels and images' contexts by content hash go here.
        log_dir: files that stay in the trial's directory.
        settings: the user's table for this target, checked by `Target.settings_type`.
        resources: limits to set where the technology has them.
        progress: takes one line of what is happening.
        keep: keep what can be used by the next trial (the kind cluster).
        kube_context: the user's own cluster instead of one of ours.
        ready_timeout_s: bound on a start within an update.
        stop_grace_s: SIGTERM to SIGKILL when an update or the end stops an instance.
    """

    ownership: Ownership
    work_dir: Path
    cache_dir: Path
    log_dir: Path
    settings: Any
    resources: Resources
    progress: Progress = field(default=lambda _line: None)
    keep: bool = False
    kube_context: str = ""
    ready_timeout_s: float = 180.0
    stop_grace_s: float = 10.0


@runtime_checkable
class Deployment(Protocol):
    """One running instance of a model. Its `endpoint` stays the same until `undeploy`.

    Every method raises DeploymentError, with the last log lines in it, when the technology does not do what it was asked.
    """

    endpoint: Endpoint
    fidelity: Fidelity
    phases_s: dict[str, float]
    """Seconds by phase: build, publish, start, ready (of the last start) and first-answer, which the trial adds."""
    model: ModelDirectory
    """What is served now."""

    def wait_ready(self, timeout_s: float) -> None:
        """Return when the technology's own readiness says so."""

    def update(self, model: ModelDirectory) -> None:
        """Serve another version at the same address; return when only the new one answers."""

    def kill(self) -> None:
        """Let the process, container or pod die without warning (SIGKILL)."""

    def stop(self, grace_s: float) -> StopReport:
        """Stop it as the technology does: SIGTERM, then SIGKILL after `grace_s` seconds."""

    def restart(self) -> None:
        """Bring it back at the same address after `kill` or `stop`; return at once, `wait_ready` waits."""

    def read_logs(self, lines: int = 200) -> str:
        """Return the last lines that the deployment wrote, of its dead ancestors too where they are kept."""

    def measure_usage(self) -> Usage:
        """Return what it has used."""

    def read_limits(self) -> Limits:
        """Read the limits that hold, from inside."""

    def undeploy(self) -> None:
        """Take everything away that was created for it. May be called twice, and at any point of its life."""


@runtime_checkable
class MayTellReady(Protocol):
    """A deployment of which nobody knows beforehand whether it tells that it is ready, or is only seen to take connections."""

    @property
    def tells_ready(self) -> bool:
        """Whether `wait_ready` asks the deployment itself."""


@runtime_checkable
class Scales(Protocol):
    """A deployment that claims `scale`: several instances serve at its one address."""

    def scale(self, replicas: int) -> None:
        """Run another number of instances; return when as many as that are ready."""

    def count_instances(self) -> int:
        """Return how many there are now, those that are about to go included."""


@runtime_checkable
class LeansOnStore(Protocol):
    """A deployment that claims `store`: it takes its model from a server of the deployment's own."""

    def stop_store(self) -> None:
        """Let the store be gone; what it holds stays."""

    def start_store(self) -> None:
        """Bring it back, at the same address, and wait until it answers; nothing where it runs."""


@runtime_checkable
class DeclaresConcurrency(Protocol):
    """A deployment that claims `concurrency`: how many predictions it works on at once is documented, or set."""

    def declare_concurrency(self) -> Mapping[str, int]:
        """Return this number by the wire that it is asked over, for it may let in more by one than by another."""


class Target(Protocol):
    """A technology. A class with no state; registered under its name in the entry-point group `seatrial.targets`."""

    name: str
    capabilities: frozenset[str]
    bring_up_rank: int
    """The higher, the earlier a trial begins to bring it up; what takes longest should have the highest."""
    settings_type: type
    """A msgspec.Struct with `forbid_unknown_fields`: the keys of `[tool.seatrial.targets.<name>]`."""

    def probe_requirements(self, settings: Any) -> Sequence[Requirement]:
        """Tell quickly (under a second) and without side effects what is needed and what is there."""

    def prepare(self, model: ModelDirectory, context: DeployContext) -> None:
        """Build what takes long and can be cached (server image, wheels, cluster)."""

    def deploy(self, model: ModelDirectory, context: DeployContext) -> Deployment:
        """Start a deployment; return as soon as its endpoint is known. On failure nothing is left behind."""


def claim_capabilities(target: Target, settings: Any) -> frozenset[str]:
    """Return what a target claims with these settings.

    A target may have `narrow_capabilities(settings)`, for what does not hold with a user's own image or model.
    """
    narrow: Callable[[Any], frozenset[str]] | None = getattr(target, "narrow_capabilities", None)
    return frozenset(target.capabilities) if narrow is None else frozenset(narrow(settings))


def find_version(target: Target, settings: Any, deployment: Deployment | None, package: str) -> str:
    """Return the version of a package as a deployment runs it; empty where nobody can tell.

    A deployment may have `versions`, by name. What it does not name is as installed here, unless the target has
    `runs_installed(settings)` and denies it, as with a user's own image.
    """
    from packaging.utils import canonicalize_name

    name = canonicalize_name(package)
    told: Mapping[str, str] = getattr(deployment, "versions", {})
    for known, version in told.items():
        if canonicalize_name(known) == name:
            return version
    runs_installed: Callable[[Any], bool] | None = getattr(target, "runs_installed", None)
    if runs_installed is not None and not runs_installed(settings):
        return ""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def tell_wire(target: Target, settings: Any) -> str:
    """Return the name of the wire that a target is asked over with these settings; empty where only its deployment tells.

    A target may have `wire`, the name of its wire, and its settings a key `wire`, which comes first.
    """
    return str(getattr(settings, "wire", "") or getattr(target, "wire", ""))


def choose_settings_beside(target: Target, settings: Any) -> Any:
    """Return the settings with which another deployment can be up at the same time.

    A target whose settings can name what only one can have, a port of this machine, has `settle_beside(settings)`.
    """
    settle: Callable[[Any], Any] | None = getattr(target, "settle_beside", None)
    return settings if settle is None else settle(settings)


def cancel_prepare(target: Target, context: DeployContext) -> None:
    """Stop a `prepare` that is under way. A target whose `prepare` takes long may have `cancel(context)`."""
    cancel: Callable[[DeployContext], None] | None = getattr(target, "cancel", None)
    if cancel is not None:
        cancel(context)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFloor:
    """The cheapest question to a deployment, by its network path, and to the same server by the host's own network.

    Args:
        path_url: asked with GET.
        floor_url: the same of another instance, with the same limits.
        path_way: what lies between client and server on the path, in words.
        floor_way: and what on the floor.
    """

    path_url: str
    floor_url: str
    path_way: str
    floor_way: str


def open_floor(deployment: Deployment) -> AbstractContextManager[NetworkFloor]:
    """Have a deployment bring its floor up for the block. One that claims `network-floor` has `open_floor()`.

    Raises:
        UnsupportedError: it has none, or this machine does not allow it.
        DeploymentError: the floor does not come up.
    """
    from seatrial.checks import UnsupportedError

    opener: Callable[[], AbstractContextManager[NetworkFloor]] | None = getattr(deployment, "open_floor", None)
    if opener is None:
        raise UnsupportedError(
            f"{deployment.endpoint.address} has no floor that its network path could be held against"
        )
    return opener()


def find_endpoint(deployment: Deployment, wire: str) -> Endpoint | None:
    """Return where a deployment is asked over this wire; None when it does not speak it.

    One that speaks other protocols besides its endpoint's has `further_endpoints`, a tuple.
    """
    further: tuple[Endpoint, ...] = getattr(deployment, "further_endpoints", ())
    return next((each for each in (deployment.endpoint, *further) if each.wire == wire), None)


def quiet(deployment: Deployment) -> AbstractContextManager[None]:
    """Keep a deployment from using the machine during the block, while another is measured.

    One that uses CPU while nobody asks it may have `quiet()`, which freezes it.
    """
    freeze: Callable[[], AbstractContextManager[None]] | None = getattr(deployment, "quiet", None)
    return nullcontext() if freeze is None else freeze()


Phases = Mapping[str, float]
