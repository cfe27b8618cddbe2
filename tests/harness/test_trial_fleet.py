"""Deployments of a trial beside timed windows: what is hushed, and what does not wait. No model is deployed here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.errors import DeploymentError
from seatrial.load.host_lock import HostLock
from seatrial.records import ErrorRecord, Record
from seatrial.target import Fidelity, Usage
from seatrial.trial import fleet as fleet_module
from seatrial.trial.fleet import Fleet

PATIENCE_S = 20.0


class Told:
    """As much of a deployment as is asked for here; it says whether it is kept quiet, which it cannot be once it is gone."""

    def __init__(self) -> None:
        self.is_quiet = False
        self.gone = threading.Event()
        self.endpoint = SimpleNamespace(path="loopback", wire="v2", address="http://127.0.0.1:9")
        self.fidelity = Fidelity(real=())
        self.phases_s: dict[str, float] = {}

    @contextmanager
    def quiet(self) -> Iterator[None]:
        if self.gone.is_set():
            raise DeploymentError("it is gone")
        self.is_quiet = True
        yield
        self.is_quiet = False

    def wait_ready(self, timeout_s: float) -> None:
        pass

    def measure_usage(self) -> Usage:
        return Usage()

    def read_limits(self) -> Any:
        raise DeploymentError("there is none")

    def undeploy(self) -> None:
        self.gone.set()


class ToldTarget:
    """As much of a target as brings one deployment up."""

    bring_up_rank = 0

    def __init__(self) -> None:
        self.deployment = Told()
        self.has_prepared = False

    def prepare(self, _model: object, _context: object) -> None:
        self.has_prepared = True

    def deploy(self, _model: object, _context: object) -> Told:
        return self.deployment


class WatchedLock(HostLock):
    """The machine's lock, which tells that somebody is about to wait for it, and that the machine was let go."""

    def __init__(self, directory: Path, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__(directory, patience_s=patience_s)
        self.is_asked = threading.Event()
        self.once_let_go: Callable[[], None] = lambda: None

    @contextmanager
    def disturb(self, *arguments: Any, **named: Any) -> Iterator[None]:
        self.is_asked.set()
        with super().disturb(*arguments, **named):
            yield
        self.once_let_go()


class FleetOfOne:
    """A fleet with one target, `told`."""

    def __init__(self, lock: WatchedLock) -> None:
        self.lock = lock
        self.target = ToldTarget()
        self.deployment = self.target.deployment
        self.records: list[Record] = []
        berth: Any = SimpleNamespace(target=self.target, context=SimpleNamespace(ready_timeout_s=1.0))
        self.fleet = Fleet(
            {"told": berth},
            None,  # type: ignore[arg-type]
            record=self.records.append,
            began_s=0.0,
            progress=lambda _: None,
            lock=lock,
        )

    def list_failures(self) -> list[str]:
        return [record.message for record in self.records if isinstance(record, ErrorRecord)]


@pytest.fixture(autouse=True)
def without_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "ask_first", lambda _: 0.0)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[FleetOfOne]:
    one = FleetOfOne(WatchedLock(tmp_path))
    yield one
    one.fleet.close()


def close_in_time(fleet: Fleet) -> bool:
    closing = threading.Thread(target=fleet.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S / 4)
    return not closing.is_alive()


def test_what_waits_to_be_taken_down_is_hushed(one: FleetOfOne, tmp_path: Path) -> None:
    one.fleet.obtain("told")
    with HostLock(tmp_path).measure():
        one.fleet.release("told")
        with one.fleet.hushed("another"):
            assert one.deployment.is_quiet
    one.fleet.close()

    assert one.deployment.gone.is_set()
    assert one.list_failures() == []


def test_a_window_that_begins_as_the_machine_is_let_go_hushes_what_is_up_and_nothing_that_is_gone(
    one: FleetOfOne,
) -> None:
    seen: list[tuple[bool, bool]] = []

    def measure() -> None:
        with one.fleet.hushed("another"):
            seen.append((one.deployment.gone.is_set(), one.deployment.is_quiet))

    one.lock.once_let_go = measure
    one.fleet.obtain("told")
    one.fleet.release("told")
    one.fleet.close()

    assert seen == [(False, True), (True, False)]


def test_a_take_down_that_waits_does_not_hold_up_the_end_of_a_trial(one: FleetOfOne, tmp_path: Path) -> None:
    one.fleet.obtain("told")
    with HostLock(tmp_path).measure():
        one.lock.is_asked.clear()
        one.fleet.release("told")
        assert one.lock.is_asked.wait(PATIENCE_S)

        assert close_in_time(one.fleet)
        assert one.deployment.gone.is_set()
    assert one.list_failures() == []


def test_a_bring_up_that_waits_is_given_up_at_the_end_of_a_trial(one: FleetOfOne, tmp_path: Path) -> None:
    with HostLock(tmp_path).measure():
        one.fleet.request(["told"])
        assert one.lock.is_asked.wait(PATIENCE_S)

        assert close_in_time(one.fleet)
    assert one.fleet.find("told") is None
    assert not one.target.has_prepared
    assert one.list_failures() == []


def test_what_has_waited_too_long_to_be_taken_down_is_taken_down_and_that_is_recorded(tmp_path: Path) -> None:
    one = FleetOfOne(WatchedLock(tmp_path, patience_s=0.0))
    one.fleet.obtain("told")
    with HostLock(tmp_path).measure():
        one.fleet.release("told")
        assert one.deployment.gone.wait(PATIENCE_S)
    one.fleet.close()

    (failure,) = one.list_failures()
    assert failure.startswith("it is taken down although something may be measured: another trial or load run has this")
