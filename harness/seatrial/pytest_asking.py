"""Asking: what a target is not asked, and that nothing is asked in a timed window."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from seatrial.checks import Check, NotRunError, UnsupportedError
from seatrial.load.host_lock import announce_holder
from seatrial.pytest_items import find_check, measures, name_target
from seatrial.registry import find_wire

if TYPE_CHECKING:
    from seatrial.pytest_session import TrialSession


class Asking:
    """A pytest plug-in: hooks around each test of a session."""

    def __init__(self, session: TrialSession) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Do not ask what a target does not claim, or cannot be asked over its wire, nor what cannot be compared.

        All that is known without deploying it.
        """
        check = find_check(item)
        target = name_target(item)
        if check is None or not target:
            return
        lacking = check.needs - self._session.read_capabilities(target) if check.needs else None
        if lacking:
            pytest.skip(str(UnsupportedError(f"{target} does not claim {', '.join(sorted(lacking))}")))
        if check.wires and (wire := self._session.tell_wire(target)):
            _require_wire(check, target, wire)
        # Without a trial, as under --setup-plan, nothing is asked.
        trial = self._session.begun
        if trial is not None and (why := check.say_missing(trial.models[0].manifest.golden)):
            raise NotRunError(why, fix="give --model DIR, a directory as `seatrial build NAME DIR` writes")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Keep what is asked out of timed windows, other trials' too; a test that puts load on takes one itself.

        What a deployment turns out to have nothing for, once it is there, is skipped as what its target does not claim is.
        """
        require_wire_there(item)
        try:
            trial, target = self._session.begun, name_target(item)
            if trial is None or not target or measures(item):
                return (yield)
            turn = trial.turns.take(target, self._session.facts_of(item))
            with trial.lock.disturb(self._session.say), announce_holder(), turn:
                return (yield)
        except UnsupportedError as error:
            pytest.skip(str(error))


def require_wire_there(item: pytest.Item) -> None:
    """Skip a test that cannot be asked over the wire of its deployment: some tell theirs only when they are there."""
    check, deployment = find_check(item), getattr(item, "funcargs", {}).get("seatrial_deployment")
    if check is not None and check.wires and deployment is not None:
        _require_wire(check, name_target(item), deployment.endpoint.wire)


def _require_wire(check: Check, target: str, wire: str) -> None:
    """Skip a check that cannot be asked over a wire."""
    if not check.is_asked_over(find_wire(wire)):
        ways = ", ".join(sorted(check.wires))
        pytest.skip(str(UnsupportedError(f"{check.id} is asked over {ways}; {target} is asked over {wire}")))
