"""Collecting: what of all that was collected is asked, and what should have been; then the targets are brought up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.checks import PROFILES, Check
from seatrial.errors import SeatrialError
from seatrial.pytest_expectations import check_ids
from seatrial.pytest_items import find_check, list_marks, name_target
from seatrial.pytest_own_checks import leave_out_replaced, refuse_taken_ids
from seatrial.pytest_plan import Plan
from seatrial.registry import find_target

if TYPE_CHECKING:
    from seatrial.pytest_session import TrialSession

# A part of pytest's cacheprovider that only saves collecting; `--lf` chooses without it.
_LAST_FAILED_COLLECTING = "lfplugin-collwrapper"


class Collecting:
    """A pytest plug-in: hooks on what a session collects."""

    def __init__(self, session: TrialSession) -> None:
        self._session = session
        self._plan = Plan()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Have pytest's `--lf` leave tests out of what is collected, as `-k` does: of others nobody could tell."""
        plugins = session.config.pluginmanager
        if plugins.has_plugin(_LAST_FAILED_COLLECTING):
            plugins.unregister(name=_LAST_FAILED_COLLECTING)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Keep all checks, for what is left out later is known all the same."""
        self._plan.add(item)

    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what only a larger profile asks, and the suites that were not chosen."""
        if not session.testsfailed:
            self._refuse_wrong(config, items)
        kept = [
            item for item in items if (check := find_check(item)) is None or self._is_asked(check, list_marks(item))
        ]
        kept = leave_out_replaced(kept)
        left_out = [item for item in items if item not in set(kept)]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = kept
        if self._session.is_worker:
            # A worker takes the next target when it is done with one: begun last, the longest would be waited for alone.
            items.sort(key=_rank_of)

    def _refuse_wrong(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Ask nothing where an entry of expected failures is for no check, or a user's check passes for one of ours."""
        try:
            refuse_taken_ids(items)
            check_ids(self._session.settings.expectations, self._plan.ids, is_all=self._session.collects_all)
        except SeatrialError as error:
            # pytest says that it has collected also after an error here, and what is left then is brought up.
            items.clear()
            if not self._session.is_worker:
                raise pytest.UsageError(str(error)) from error
            # What a worker raises here its controller does not show; what cannot be collected it does.
            report = pytest.CollectReport("seatrial", "failed", str(error), [])
            config.hook.pytest_collectreport(report=report)

    def _is_asked(self, check: Check, marks: frozenset[str]) -> bool:
        general = self._session.settings.general
        if "seatrial_objectives" in marks and not self._session.settings.objectives.given:
            return False
        if general.check:
            in_profile = check.id in general.check
        else:
            # Whoever sets objectives wants to know whether they are kept, in the smallest profile too.
            in_profile = "seatrial_objectives" in marks or PROFILES.index(check.profile) <= PROFILES.index(
                general.profile
            )
        return in_profile and (general.suite == "all" or general.suite in marks)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Bring up what will be asked, side by side; a worker of xdist does not know yet what it will be given."""
        wanted = [name for item in session.items if (name := name_target(item))]
        option = session.config.option
        broken = session.testsfailed and not option.continue_on_collection_errors
        if not wanted or broken or option.collectonly or getattr(option, "setupplan", False):
            return
        try:
            trial = self._session.trial
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error
        for record in self._plan.tell(self._session.choice.targets, self._is_asked):
            trial.record(record)
        if not self._session.is_worker:
            trial.record_lacking()
            asked = [name for name in dict.fromkeys(wanted) if not trial.lacking[name]]
            trial.fleet.request(asked)


def _rank_of(item: pytest.Item) -> int:
    name = name_target(item)
    return -find_target(name).bring_up_rank if name else 0
