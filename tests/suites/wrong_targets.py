"""A pytest plug-in with targets over the floor's process, each wrong in one way, and `right`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from seatrial import registry
from seatrial.checks import UnsupportedError
from seatrial.endpoint import Endpoint
from seatrial.environ import copy_environ
from seatrial.errors import DeploymentError
from seatrial.isolation import clean_environ
from seatrial.looking import Privileges
from seatrial.model import ModelDirectory
from seatrial.requirement import Requirement
from seatrial.target import Capability, DeployContext, Deployment, Fidelity, Limits, NetworkFloor, StopReport, Usage
from seatrial.trial import flooring
from seatrial.trial.measuring import LoadOrder
from seatrial.trial.searching import CapacityOrder
from seatrial_fixtures.process_deployment import ProcessDeployment
from seatrial_fixtures.processes import Launch, ServedProcess
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed
from seatrial_fixtures.specimens.process import serve
from seatrial_fixtures.targets.inprocess import _answers
from seatrial_fixtures.wrong import names as wrong_names
from seatrial_suites.benchmark import runs
from seatrial_suites.conformance import asking, lives, straining, test_faults, test_readiness, traffic

SERVER = Path(__file__).with_name("wrong_floor.py")
ALL: frozenset[Capability] = frozenset({"batch", "update", "kill", "usage", "limits", "drain", "version-in-answer"})


class RightDeployment(ProcessDeployment):
    """A floor's process, with everything that can be claimed."""

    def __init__(self, model: ModelDirectory, context: DeployContext, wrong: str) -> None:
        self.socket = context.work_dir / "socket"
        self.context, self.wrong = context, wrong
        super().__init__(
            process=self.make_process(self.launch(model)),
            model=model,
            launch=self.launch,
            is_ready=lambda: _answers(self.socket),
            endpoint=Endpoint(address=f"unix:{self.socket}", wire="frame", path="unix-socket", name=model.name),
            fidelity=Fidelity(real=("a specimen",)),
            stop_grace_s=context.stop_grace_s,
            ready_timeout_s=context.ready_timeout_s,
        )

    def launch(self, model: ModelDirectory, socket: Path | None = None) -> Launch:
        argv = [sys.executable, str(SERVER), self.wrong, "--model", str(model.path)]
        return Launch(argv=[*argv, "--socket", str(socket or self.socket)], env=clean_environ(copy_environ()))

    def make_process(self, launch: Launch) -> ServedProcess:
        log_path = self.context.log_dir / f"{self.wrong}-{self.context.work_dir.name}.log"
        return ServedProcess("specimen", launch, port=0, log_path=log_path, ownership=self.context.ownership)

    def read_limits(self) -> Limits:
        return Limits(cpus=self.context.resources.cpus, memory_bytes=self.context.resources.memory_bytes)


class UpdatesNothing(RightDeployment):
    def update(self, model: ModelDirectory) -> None:
        self.model = model


class KillsNothing(RightDeployment):
    def kill(self) -> None:
        pass


class RestartsNothing(RightDeployment):
    def restart(self) -> None:
        self.is_lost = True

    def wait_ready(self, timeout_s: float) -> None:
        if not getattr(self, "is_lost", False):
            super().wait_ready(timeout_s)


class ReadyTooSoon(RightDeployment):
    """Brought back, it says that it is ready, and is not there for a moment."""

    is_back = False

    def restart(self) -> None:
        super().restart()
        self.is_back = True

    def wait_ready(self, timeout_s: float) -> None:
        super().wait_ready(timeout_s)
        if self.is_back:
            self.is_back = False
            away = self.socket.rename(self.socket.with_name("away"))
            threading.Timer(0.5, away.rename, [self.socket]).start()


class StopsInHaste(RightDeployment):
    def stop(self, grace_s: float) -> StopReport:
        return super().stop(min(grace_s, 0.3))


class StopsNothing(RightDeployment):
    def stop(self, grace_s: float) -> StopReport:
        return StopReport(stopped_s=0.0, graceful=True, exit_code=0)


class UsesNothing(RightDeployment):
    def measure_usage(self) -> Usage:
        return Usage(cpu_s=1.0, memory_bytes=50_000_000)


class LimitsOtherwise(RightDeployment):
    def read_limits(self) -> Limits:
        return Limits(cpus=self.context.resources.cpus, memory_bytes=self.context.resources.memory_bytes * 2)


class HasStore(RightDeployment):
    """Its store is a word: without it a start fails."""

    is_store_up = True

    def stop_store(self) -> None:
        self.is_store_up = False

    def start_store(self) -> None:
        self.is_store_up = True

    def restart(self) -> None:
        if not self.is_store_up:
            raise DeploymentError("the model cannot be fetched: connection refused")
        super().restart()


class DiesWithStore(HasStore):
    def stop_store(self) -> None:
        super().stop_store()
        self.kill()


class StartsWithoutStore(HasStore):
    def restart(self) -> None:
        RightDeployment.restart(self)


class RunsAsRoot(RightDeployment):
    uid = 0

    def read_privileges(self) -> Privileges:
        return Privileges(uid=self.uid, capabilities=0, no_new_privileges=True, seccomp=2)


class RunsAsNobody(RunsAsRoot):
    uid = 65534


class NamedServer:
    """Another process of the same model, where a shelf has its server."""

    def __init__(self, process: ServedProcess, socket: Path) -> None:
        self._process, self._socket = process, socket

    def start(self) -> None:
        if not self._process.is_running:
            self._process.start()
        self._process.wait_ready(lambda: _answers(self._socket), 30.0)

    def close(self) -> None:
        self._process.close()


class HasNames(RightDeployment):
    """What stands for its control plane is a shelf."""

    shelf: type[wrong_names.Shelf] = wrong_names.Shelf

    @contextlib.contextmanager
    def open_named(self) -> Iterator[wrong_names.Shelf]:
        socket = self.socket.with_name("named")
        server = NamedServer(self.make_process(self.launch(self.model, socket)), socket)
        try:
            yield self.shelf(dataclasses.replace(self.endpoint, address=f"unix:{socket}"), server)
        finally:
            server.close()


class PathCosts(RightDeployment):
    """What its path costs, and what its floor takes, are specimens of known latency."""

    path_s, floor_s = 0.03, 0.0

    @contextlib.contextmanager
    def open_floor(self) -> Iterator[NetworkFloor]:
        with serve(answer_after(self.path_s)) as path, serve(answer_after(self.floor_s)) as floor:
            yield NetworkFloor(path_url=path.url, floor_url=floor.url, path_way="a specimen", floor_way="another")


class FloorCosts(PathCosts):
    """Its floor is none."""

    path_s, floor_s = 0.0, 0.03


class HasNoFloor(RightDeployment):
    def open_floor(self) -> NoReturn:
        raise UnsupportedError("the host's network is another machine's")


class HealsUnseen(RightDeployment):
    """Another process answers before the killed one is gone, so that no question goes without an answer."""

    def kill(self) -> None:
        other = self.socket.with_name("other")
        following = self.make_process(self.launch(self.model, other))
        following.start()
        following.wait_ready(lambda: _answers(other), 30.0)
        other.replace(self.socket)
        self._process.kill()
        self._process, following.launch = following, self.launch(self.model)


class WrongTarget:
    bring_up_rank = 0
    settings_type = type("WrongSettings", (msgspec.Struct,), {}, forbid_unknown_fields=True)

    def __init__(
        self, name: str, deployment: Callable[..., Deployment], wrong: str, capabilities: frozenset[Capability]
    ) -> None:
        self.name, self.capabilities = name, capabilities
        self._deployment, self._wrong = deployment, wrong

    def probe_requirements(self, settings: Any) -> Sequence[Requirement]:
        return []

    def prepare(self, model: ModelDirectory, context: DeployContext) -> None:
        pass

    def deploy(self, model: ModelDirectory, context: DeployContext) -> Deployment:
        return self._deployment(model, context, self._wrong)


def add(
    name: str,
    deployment: Callable[..., Deployment] = RightDeployment,
    wrong: str = "right",
    claims: frozenset[Capability] = ALL,
) -> None:
    registry.add(registry.TARGETS_GROUP, name, lambda: lambda: WrongTarget(name, deployment, wrong, claims))


def answer_after(seconds: float) -> Behaviour:
    return Behaviour(service=Fixed(seconds=seconds))


BATCH: frozenset[Capability] = frozenset({"batch"})
HEALS: frozenset[Capability] = ALL | {"self-heal"}
add("right")
add("heals-unseen", HealsUnseen, claims=HEALS)
add("nameless-unclaimed", wrong="nameless", claims=ALL - {"version-in-answer"})
add("off-by-one", wrong="off-by-one", claims=BATCH)
add("drops", wrong="drops", claims=BATCH)
add("hangs", wrong="hangs", claims=BATCH)
add("reorders", wrong="reorders")
add("updates-nothing", UpdatesNothing)
add("nameless", wrong="nameless")
add("kills-nothing", KillsNothing)
add("heals-nothing", KillsNothing, claims=HEALS)
add("restarts-nothing", RestartsNothing, claims=BATCH | {"kill"})
add("ready-too-soon", ReadyTooSoon, claims=BATCH | {"kill"})
add("stopped-by-force", StopsInHaste, wrong="deaf", claims=BATCH | {"drain"})
add("stops-nothing", StopsNothing)
add("uses-nothing", UsesNothing)
add("limits-otherwise", LimitsOtherwise)
STORE: frozenset[Capability] = BATCH | {"store"}
add("has-store", HasStore, claims=STORE)
add("dies-with-store", DiesWithStore, claims=STORE)
add("starts-without-store", StartsWithoutStore, claims=STORE)
add("runs-as-root", RunsAsRoot, claims=BATCH | {"privileges"})
add("runs-as-nobody", RunsAsNobody, claims=BATCH | {"privileges"})
NAMES: frozenset[Capability] = BATCH | {"names"}
add("has-names", HasNames, claims=NAMES)
for kind, shelf in wrong_names.SERVING.items():
    add(kind, type(shelf.__name__, (HasNames,), {"shelf": shelf}), claims=NAMES)
for kind in ("leans-up", "leans-nowhere", "leans-down", "crosses", "swallows", "dies-of-it", "forgets"):
    add(kind, wrong=kind, claims=BATCH)
FLOOR: frozenset[Capability] = BATCH | {"network-floor"}
add("path-costs", PathCosts, claims=FLOOR)
add("floor-costs", FloorCosts, claims=FLOOR)
add("has-no-floor", HasNoFloor, claims=FLOOR)
for kind in ("slips", "mixes-up", "caches", "slow", "remembers"):
    add(kind, wrong=kind, claims=BATCH)

# What is waited for here never comes, or at once.
asking.ANSWER_TIMEOUT_S = 1.0
traffic.QUESTION_TIMEOUT_S = 1.0
lives.SILENCE_WAIT_S = lives.NEW_LIFE_WAIT_S = 1.0
lives.USAGE_WAIT_S = 3.0
test_faults.PAUSE_S, test_faults.PATIENCE_S = 0.01, 0.2
test_readiness.HOLD_S, test_readiness.POLL_S, test_readiness.READY_WITHIN_S = 0.0, 0.05, 1.0
straining.PROMPT_WAIT_S = straining.RECOVERY_WAIT_S = 2.0
straining.BURST_S = 0.2
# An overload shows from a hundred requests on.
runs.LATENCY = LoadOrder(name="latency", rate=60.0, duration_s=2.0, warm_up_s=0.5)
# Thirty milliseconds show in forty requests.
flooring.WINDOW_S = 1.0  # type: ignore[misc]
# A hundred and fifty requests, and a search that need not get far.
runs.SEARCH = CapacityOrder(window_s=1.5, longest_s=8.0)
# Medians have intervals from four hundred on.
runs.NIGHTLY = LoadOrder(name="latency", rate=100.0, duration_s=5.0, warm_up_s=0.5)
