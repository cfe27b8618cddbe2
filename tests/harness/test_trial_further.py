"""Deployments of checks that a trial's end takes down, from another thread than theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from seatrial.errors import DeploymentError
from seatrial.target import Deployment
from seatrial.trial.further import Further

PATIENCE_S = 20.0


class Told:
    """As much of a deployment as is asked for here."""

    def __init__(self, undeploy: Callable[[], None] = lambda: None) -> None:
        self.undeployed = 0
        self._undeploy = undeploy

    def undeploy(self) -> None:
        self.undeployed += 1
        self._undeploy()


def make(told: Told) -> Callable[[], Deployment]:
    return lambda: cast("Deployment", told)


class Check(threading.Thread):
    """A check that keeps a deployment until it is told to end."""

    def __init__(self, further: Further, deploy: Callable[[], Deployment]) -> None:
        super().__init__(daemon=True)
        self.is_there, self.may_end = threading.Event(), threading.Event()
        self.error: DeploymentError | None = None
        self._further, self._deploy = further, deploy
        self.start()

    def run(self) -> None:
        try:
            with self._further.keep(self._deploy):
                self.is_there.set()
                self.may_end.wait(PATIENCE_S)
        except DeploymentError as error:
            self.error = error

    def end(self) -> None:
        self.may_end.set()
        self.join(PATIENCE_S)
        assert not self.is_alive()


def test_a_deployment_is_taken_down_after_its_block() -> None:
    further, told = Further(), Told()

    with pytest.raises(KeyError), further.keep(make(told)):
        raise KeyError("mine")
    further.close()

    assert told.undeployed == 1


def test_one_that_the_end_takes_down_is_not_taken_down_again() -> None:
    further, told = Further(), Told()
    check = Check(further, make(told))
    assert check.is_there.wait(PATIENCE_S)

    further.close()

    assert told.undeployed == 1
    check.end()
    assert told.undeployed == 1


def test_while_one_takes_it_down_another_waits() -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def undeploy() -> None:
        begun.set()
        assert may_go_on.wait(PATIENCE_S)

    further, told = Further(), Told(undeploy)
    check = Check(further, make(told))
    check.is_there.wait(PATIENCE_S)
    closing = threading.Thread(target=further.close, daemon=True)
    closing.start()
    assert begun.wait(PATIENCE_S)

    check.may_end.set()
    check.join(0.1)

    assert check.is_alive(), "its directory would go while it is being taken down"
    may_go_on.set()
    closing.join(PATIENCE_S)
    check.end()
    assert (told.undeployed, check.error) == (1, None)


def test_one_that_cannot_be_taken_down_keeps_no_other() -> None:
    def fail_once() -> None:
        if bad.undeployed == 1:
            raise RuntimeError("mine")

    further, bad, good = Further(), Told(fail_once), Told()
    checks = []
    for told in (bad, good):
        checks.append(Check(further, make(told)))
        assert checks[-1].is_there.wait(PATIENCE_S)

    further.close()

    assert (bad.undeployed, good.undeployed) == (1, 1)
    for check in checks:
        check.end()
    assert (bad.undeployed, good.undeployed) == (2, 1), "whoever deployed it tries again"


def test_the_end_waits_for_what_is_being_deployed() -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    told = Told()

    def deploy() -> Any:
        begun.set()
        assert may_go_on.wait(PATIENCE_S)
        return told

    further = Further(patience_s=PATIENCE_S)
    check = Check(further, deploy)
    assert begun.wait(PATIENCE_S)
    closing = threading.Thread(target=further.close, daemon=True)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()

    may_go_on.set()
    closing.join(PATIENCE_S)

    assert told.undeployed == 1
    check.end()
    assert told.undeployed == 1
    assert check.error is not None


def test_the_end_does_not_wait_for_ever() -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    told = Told()

    def deploy() -> Any:
        begun.set()
        assert may_go_on.wait(PATIENCE_S)
        return told

    further = Further(patience_s=0.01)
    check = Check(further, deploy)
    assert begun.wait(PATIENCE_S)

    further.close()
    may_go_on.set()
    check.end()

    assert told.undeployed == 1, "whoever deployed it takes it down"


def test_after_the_end_nothing_is_deployed() -> None:
    further, told = Further(), Told()
    further.close()

    with pytest.raises(DeploymentError, match="ended"), further.keep(make(told)):
        pass

    assert told.undeployed == 0
