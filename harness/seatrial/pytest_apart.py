"""Asking apart: checks of deployments of their own are asked in another thread, while the others of their target are asked.

Such a test is set up and torn down in its turn, in the main thread, as pytest has it. Its call alone goes on beside the tests
that follow, and pytest is told of all three phases when it has ended: at the latest before its target is taken down.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Literal

import pytest

from seatrial.checks import UnsupportedError
from seatrial.load.host_lock import announce_holder
from seatrial.pytest_asking import require_wire_there
from seatrial.pytest_distributing import telling_of
from seatrial.pytest_items import find_check, is_ours, measures, name_target
from seatrial.trial.lane import Lane

if TYPE_CHECKING:
    from seatrial.pytest_session import TrialSession

_POLL_S = 0.2
# Fixtures of which a tear-down takes nothing away that the call needs. Of others, a user's own for one, nobody knows.
_HOLD_NOTHING = frozenset(
    {
        "request",
        "tmp_path",
        "tmp_path_factory",
        "seatrial_deploy",
        "seatrial_deployment",
        "seatrial_facts",
        "seatrial_history",
        "seatrial_model",
        "seatrial_models",
        "seatrial_target",
        "seatrial_turn",
    }
)
_WHO_MAKES_THEM = frozenset({"_pytest", "seatrial"})
# Marks by which somebody else says how a test is run, or what comes of it.
_OTHERS_SAY = frozenset({"filterwarnings", "flaky", "xfail"})
# --pdb, --trace, --setup-show, and --reruns of pytest-rerunfailures.
_OPTIONS_OF_OTHERS = ("usepdb", "trace", "setupshow", "reruns")


class Apart:
    """A pytest plug-in: has checks that are marked as apart asked beside the others."""

    def __init__(self, session: TrialSession, config: pytest.Config) -> None:
        self._session = session
        self._option = config.option
        self._under_way: list[_UnderWay] = []
        self._lane = Lane()
        # pytest-timeout, by its option, setting or variable, or by a mark: it ends what the main thread waits for.
        self._is_limited = bool(getattr(config, "_env_timeout", None))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Of each target they come first, so that there is something to ask beside them."""
        self._is_limited |= any(item.get_closest_marker("timeout") for item in items)
        of_targets = [list(group) for _, group in itertools.groupby(items, key=name_target)]
        items[:] = [item for group in of_targets for item in sorted(group, key=lambda each: not self._is_apart(each))]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Where the session is broken off, nobody waits: what has not ended then is taken down with the trial."""
        try:
            result = yield
            if not _is_broken_off(session):
                self._wait()
            return result
        finally:
            self._break_off()
            self._report()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if measures(item):
            self._wait()
        self._report()
        if _is_broken_off(item.session):
            # By what has just been told: nothing more is asked.
            return True
        if not isinstance(item, pytest.Function) or not self._is_apart(item):
            return None
        self._begin(item, nextitem)
        self._report()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
        """What is asked of a target ends before it is taken down, unless all is broken off."""
        problem = None
        try:
            if _is_broken_off(item.session):
                self._break_off()
            elif name_target(item) and (nextitem is None or name_target(nextitem) != name_target(item)):
                self._wait(name_target(item))
        except BaseException as error:  # noqa: BLE001 - it is raised again, after a tear-down that must be
            problem = error
            self._break_off()
        try:
            result = yield
        finally:
            if problem is not None:
                raise problem
        return result

    def _is_apart(self, item: pytest.Item) -> bool:
        check = find_check(item)
        return (
            isinstance(item, pytest.Function)
            and check is not None
            and check.apart
            # Before it is taken down is when the last of a target is told.
            and bool(name_target(item))
            and not self._session.settings.general.serial
            and not any(getattr(self._option, name, None) for name in _OPTIONS_OF_OTHERS)
            and not self._is_limited
            and not inspect.iscoroutinefunction(item.obj)
            and _holds_nothing(item)
            and _OTHERS_SAY.isdisjoint(mark.name for mark in item.iter_markers())
        )

    def _begin(self, item: pytest.Function, nextitem: pytest.Item | None) -> None:
        setup = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_setup(item=item), "setup", _LEAVING)
        under_way = _UnderWay(item)
        if under_way.tell(setup).passed:
            under_way.call = self._lane.submit(self._prepare(item))
        self._under_way.append(under_way)
        if _is_broken_off(item.session):
            nextitem = None
        teardown = pytest.CallInfo.from_call(
            lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=nextitem), "teardown", _LEAVING
        )
        under_way.tell(teardown)

    def _prepare(self, item: pytest.Function) -> Callable[[], pytest.CallInfo[None]]:
        """Return the call of a test that is set up, for another thread."""
        trial, function = self._session.trial, item.obj
        # A parameter with a default of its own is none of pytest's.
        arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001

        def call() -> None:
            require_wire_there(item)
            # pytest's own directory may go with the tear-down.
            with (
                trial.lock.disturb(self._session.say),
                announce_holder(),
                trial.open_directory("seatrial-check-") as directory,
            ):
                given = {"tmp_path": directory} if "tmp_path" in arguments else {}
                try:
                    function(**arguments | given)
                except UnsupportedError as error:
                    pytest.skip(str(error))

        return lambda: pytest.CallInfo.from_call(call, "call")

    def _wait(self, target: str = "") -> None:
        """Wait until all of a target have ended, those of every target when none is named."""
        for each in self._under_way:
            if not target or name_target(each.item) == target:
                while not each.has_ended:
                    self._session.flush_lines()
                    each.wait(_POLL_S)
                each.conclude()

    def _break_off(self) -> None:
        """Ask nothing more, and tell nothing of what has not ended: it may fail because what it asks is taken down."""
        self._lane.close()
        for each in [each for each in self._under_way if not each.has_ended]:
            self._under_way.remove(each)
            for report in each.reports.values():
                self._session.keep_again(report)

    def _report(self) -> None:
        """Tell pytest of those that have ended."""
        for each in [each for each in self._under_way if each.has_ended and "teardown" in each.reports]:
            self._under_way.remove(each)
            each.conclude()
            each.report()


def _holds_nothing(item: pytest.Function) -> bool:
    """Whether all its fixtures are ones that we know, and none of them a user's own under that name."""
    info = item._fixtureinfo  # noqa: SLF001
    if "request" in info.argnames and not is_ours(item):
        # It may ask for any fixture while it is asked itself.
        return False
    functions = [fixture.func for fixtures in info.name2fixturedefs.values() for fixture in fixtures]
    return _HOLD_NOTHING.issuperset(item.fixturenames) and all(
        function.__module__.partition(".")[0] in _WHO_MAKES_THEM for function in functions
    )


def _is_broken_off(session: pytest.Session) -> bool:
    return bool(session.shouldfail or session.shouldstop)


class _UnderWay:
    """A test whose call goes on in another thread; without a call where its set-up failed."""

    def __init__(self, item: pytest.Function) -> None:
        self.item = item
        self.call: Future[pytest.CallInfo[None]] | None = None
        self.reports: dict[_Phase, pytest.TestReport] = {}

    @property
    def has_ended(self) -> bool:
        return self.call is None or self.call.done()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end for a while."""
        if self.call is not None:
            wait([self.call], timeout=timeout_s)

    def tell(self, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """Have a report made of a phase."""
        report: pytest.TestReport = self.item.ihook.pytest_runtest_makereport(item=self.item, call=call)
        self.reports[call.when] = report  # type: ignore[index]
        return report

    def conclude(self) -> None:
        """Have the report of its call made, while its deployment is there to tell why it failed."""
        if self.call is not None and "call" not in self.reports:
            self.tell(self.call.result())

    def report(self) -> None:
        """Tell pytest, in the order of the phases."""
        hook, nodeid, location = self.item.ihook, self.item.nodeid, self.item.location
        hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
        with telling_of(self.item):
            for phase in _PHASES:
                if phase in self.reports:
                    hook.pytest_runtest_logreport(report=self.reports[phase])
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)


_Phase = Literal["setup", "call", "teardown"]
_PHASES: tuple[_Phase, ...] = ("setup", "call", "teardown")
# As pytest's own runner: these end the session.
_LEAVING = (pytest.exit.Exception, KeyboardInterrupt)
