"""The deployments of a trial: brought up side by side, each once, and taken down as soon as nobody asks them any more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from seatrial.client import AskTimeoutError, Client
from seatrial.errors import DeploymentError, HarnessError, InfrastructureError, SeatrialError
from seatrial.load.host_lock import HostLock
from seatrial.model import ModelDirectory
from seatrial.records import DeploymentRecord, ErrorRecord, FidelityRecord, PhaseRecord, Record
from seatrial.target import DeployContext, Deployment, Progress, Target, cancel_prepare, quiet
from seatrial.trial.limits import describe_cpu_limit
from seatrial.wire import Refusal

_FIRST_ANSWER_TIMEOUT_S = 60.0
_LOG_LINES = 60
_IDLE_S = 0.2
_GIVE_UP_S = 10.0
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """A target with what it needs to deploy."""

    target: Target
    context: DeployContext


class Fleet:
    """Brings deployments up in threads, and takes them down. Close it in every way out.

    Args:
        berths: targets by name.
        model: what is deployed.
        record: takes records as they come; called from several threads.
        began_s: the trial's beginning on the clock of `time.monotonic`, to which phases refer.
        progress: takes one line of what is happening.
        serial: one bring-up at a time.
        lock: keeps bring-ups out of timed windows.
    """

    def __init__(
        self,
        berths: Mapping[str, Berth],
        model: ModelDirectory,
        *,
        record: Callable[[Record], None],
        began_s: float,
        progress: Progress,
        serial: bool = False,
        lock: HostLock | None = None,
    ) -> None:
        self._berths = berths
        self._model = model
        self._record = record
        self._began_s = began_s
        self._progress = progress
        self._host = lock or HostLock()
        self._futures: dict[str, Future[Deployment]] = {}
        self._coming: dict[str, Deployment] = {}
        self._up: dict[str, Deployment] = {}
        self._going_down: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        workers = 1 if serial else max(2, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="bring-up")
        self._down_pool = ThreadPoolExecutor(max(1, len(berths)), thread_name_prefix="take-down")

    def request(self, names: Sequence[str]) -> None:
        """Begin to bring targets up, unless that has begun: as many at once as there are CPUs, the longest first."""
        with self._lock:
            for name in sorted(names, key=lambda name: -self._berths[name].target.bring_up_rank):
                if name not in self._futures:
                    self._futures[name] = self._pool.submit(self._bring_up, name)

    def obtain(self, name: str, idle: Callable[[], None] = lambda: None) -> Deployment:
        """Return the deployment of a target, when it is ready; `idle` is called now and then while it is not.

        Raises:
            HarnessError: it was taken down already.
            SeatrialError: it did not come up; the same error for everyone who asks.
        """
        if name in self._going_down:
            raise HarnessError(
                f"{name} was taken down already, for its last test seemed to be over",
                fix="let a target's tests run one after another: no plug-in that reorders, and with xdist no other --dist",
            )
        self.request([name])
        future = self._futures[name]
        while not future.done():
            wait([future], timeout=_IDLE_S)
            idle()
        return future.result()

    def find(self, name: str) -> Deployment | None:
        """Return the deployment of a target if it is up, without waiting for it."""
        future = self._futures.get(name)
        return future.result() if future is not None and future.done() and _came_up(future) else None

    def find_berth(self, name: str) -> Berth:
        """Return a target that can run here, with what it needs to deploy."""
        return self._berths[name]

    def release(self, name: str) -> None:
        """Begin to take a target down; `close` waits for it."""
        with self._lock:
            if name in self._futures and name not in self._going_down:
                self._going_down[name] = self._down_pool.submit(self._take_down, name)

    @contextmanager
    def hushed(self, name: str) -> Iterator[None]:
        """Keep every other deployment that is up quiet during the block; with an empty name all.

        Raises:
            HarnessError: one of them would not be quiet, which is no failure of the one that is measured.
        """
        with self._lock:
            others = [(other, deployment) for other, deployment in self._up.items() if other != name]
        with ExitStack() as stack:
            for other, deployment in others:
                try:
                    stack.enter_context(quiet(deployment))
                except SeatrialError as error:
                    raise HarnessError(f"{other} cannot be kept quiet while {name} is measured: {error}") from error
            yield

    def close(self) -> None:
        """Take everything down, also what is still coming up, and wait for it.

        What is still being built after a few seconds is left to the trial's owner, who ends the processes that build it.
        """
        self._closing.set()
        with self._lock:
            coming = dict(self._coming)
        for future in self._futures.values():
            future.cancel()
        for name, deployment in coming.items():
            self._undeploy(name, deployment)
        for name, future in self._futures.items():
            if not future.done() and name not in coming:
                self._cancel_prepare(name)
        wait(self._futures.values(), timeout=_GIVE_UP_S)
        for name, future in self._futures.items():
            if future.done():
                self.release(name)
        self._pool.shutdown(wait=False)
        self._down_pool.shutdown(wait=True)

    @contextmanager
    def phase(self, target: str, name: str) -> Iterator[None]:
        """Record how long the body took, as a phase of the target."""
        start_s = time.monotonic() - self._began_s
        try:
            yield
        finally:
            end_s = time.monotonic() - self._began_s
            self._record(PhaseRecord(target=target, name=name, start_s=start_s, end_s=end_s))

    def _bring_up(self, name: str) -> Deployment:
        with self._host.disturb(lambda line: self._progress(f"{name}: {line}"), self._closing):
            self._stop_if_closing()
            deployment = self._deploy(name)
            # Before the machine is let go: a window may begin at once, and by then it must be known what to hush.
            with self._lock:
                self._up[name] = deployment
            return deployment

    def _deploy(self, name: str) -> Deployment:
        berth = self._berths[name]
        deployment: Deployment | None = None
        try:
            with self.phase(name, "build"):
                began_s = time.monotonic()
                berth.target.prepare(self._model, berth.context)
                prepared_s = time.monotonic() - began_s
            self._stop_if_closing()
            with self.phase(name, "start"):
                deployment = berth.target.deploy(self._model, berth.context)
            with self._lock:
                self._coming[name] = deployment
            self._stop_if_closing()
            deployment.phases_s.setdefault("build", prepared_s)
            with self.phase(name, "ready"):
                deployment.wait_ready(berth.context.ready_timeout_s)
            with self.phase(name, "first-answer"):
                deployment.phases_s["first-answer"] = ask_first(deployment)
            self._progress(f"{name}: ready at {deployment.endpoint.address} ({describe_phases(deployment.phases_s)})")
        except BaseException as error:
            self._give_up(name, deployment, error)
            raise
        finally:
            with self._lock:
                self._coming.pop(name, None)
        return deployment

    def _stop_if_closing(self) -> None:
        if self._closing.is_set():
            raise DeploymentError("the trial ended before it was deployed")

    def _give_up(self, name: str, deployment: Deployment | None, error: BaseException) -> None:
        logs = ""
        if deployment is not None:
            logs = _read_logs(deployment)
            self._undeploy(name, deployment)
        if self._closing.is_set():
            return
        message = str(error) if isinstance(error, SeatrialError) else f"{type(error).__name__}: {error}"
        code = int(error.exit_code) if isinstance(error, SeatrialError) else int(DeploymentError.exit_code)
        self._record(ErrorRecord(target=name, message=message, exit_code=code, logs=logs))
        self._progress(f"{name}: failed to deploy: {message.splitlines()[0]}")

    def _take_down(self, name: str) -> None:
        future = self._futures[name]
        if not _came_up(future):
            return
        with ExitStack() as stack:
            try:
                # At the end of a trial it goes down at once, whoever measures.
                stack.enter_context(self._host.disturb(hurry=self._closing))
            except (HarnessError, OSError) as error:
                # Nobody reads this thread's failure, and one that stays up would disturb for longer.
                self._record(_describe_failure(name, "it is taken down although something may be measured", error))
            # Until now it was up, and to be hushed like others; from now on it may not be there any more.
            with self._lock:
                self._up.pop(name, None)
            self._describe_and_undeploy(name, future.result())

    def _describe_and_undeploy(self, name: str, deployment: Deployment) -> None:
        # A target is a plug-in and may raise what it likes: whatever it is, the next step must be done and the failure told.
        try:
            self._record(describe_deployment(name, deployment))
        except Exception as error:  # noqa: BLE001
            self._record(_describe_failure(name, "its facts cannot be read", error))
        with self.phase(name, "undeploy"):
            self._undeploy(name, deployment)

    def _cancel_prepare(self, name: str) -> None:
        berth = self._berths[name]
        try:
            cancel_prepare(berth.target, berth.context)
        except Exception as error:  # noqa: BLE001
            self._record(_describe_failure(name, "its bring-up cannot be cancelled", error))

    def _undeploy(self, name: str, deployment: Deployment) -> None:
        try:
            deployment.undeploy()
        except Exception as error:  # noqa: BLE001
            self._record(_describe_failure(name, "it cannot be taken down", error))


def ask_first(deployment: Deployment) -> float:
    """Ask the first golden case and return the seconds until its whole answer; right or wrong is the checks' business.

    Raises:
        DeploymentError: ready, but it does not answer.
    """
    began_s = time.perf_counter()
    try:
        with Client(deployment.endpoint, deployment.model.manifest) as client:
            answer = client.ask(deployment.model.cases[0].inputs, timeout_s=_FIRST_ANSWER_TIMEOUT_S)
    except (OSError, AskTimeoutError) as error:
        raise DeploymentError(
            f"{deployment.endpoint.address} says that it is ready, but the first question got no answer: {error}\n"
            f"{_read_logs(deployment)}"
        ) from error
    if isinstance(answer, Refusal):
        raise DeploymentError(
            f"{deployment.endpoint.address} says that it is ready, but refused the first golden case: "
            f"{answer.kind.value} (status {answer.status}): {answer.message}\n{_read_logs(deployment)}"
        )
    return time.perf_counter() - began_s


def describe_phases(phases_s: Mapping[str, float]) -> str:
    """Return phases as one phrase: `build 1.2 s, start 0.3 s`."""
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phases_s.items())


def describe_deployment(name: str, deployment: Deployment) -> DeploymentRecord:
    """Return the facts of a deployment, as it is now."""
    usage: dict[str, Any] = msgspec.to_builtins(_read_optional(deployment.measure_usage) or {})
    limits = _read_optional(deployment.read_limits)
    return DeploymentRecord(
        target=name,
        address=deployment.endpoint.address,
        wire=deployment.endpoint.wire,
        network_path=deployment.endpoint.path,
        fidelity=FidelityRecord(
            real=deployment.fidelity.real, emulated=deployment.fidelity.emulated, absent=deployment.fidelity.absent
        ),
        phases_s=dict(deployment.phases_s),
        versions=dict(getattr(deployment, "versions", {})),
        limits={"cpus": limits.cpus, "memory_bytes": limits.memory_bytes} if limits else {},
        cpu_limit=describe_cpu_limit(limits, deployment) if limits else None,
        usage=usage,
    )


def _came_up(future: Future[Deployment]) -> bool:
    return not future.cancelled() and future.exception() is None


def _describe_failure(name: str, what: str, error: Exception) -> ErrorRecord:
    why = str(error) if isinstance(error, SeatrialError) else f"{type(error).__name__}: {error}"
    return ErrorRecord(target=name, message=f"{what}: {why}", exit_code=int(DeploymentError.exit_code))


def _read_optional(read: Callable[[], _Read]) -> _Read | None:
    """Return figures; none when the deployment is stopped or dead, which is how some checks leave it.

    Raises InfrastructureError: nobody could be asked, so that there are none is not known either.
    """
    try:
        return read()
    except InfrastructureError:
        raise
    except SeatrialError:
        return None


def _read_logs(deployment: Deployment) -> str:
    try:
        return deployment.read_logs(_LOG_LINES)
    except Exception as error:  # noqa: BLE001 - evidence is worth having, and never worth losing the failure it is for
        return f"(its logs cannot be read: {error})"
