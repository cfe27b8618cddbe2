"""The heavy half of the pytest plug-in: one trial over a pytest session, its outcomes recorded as checks.

Under pytest-xdist the controller owns the trial and writes its files; workers join it, and send records along with their
test reports (a dict attribute of a report crosses, its stash does not).
"""

from __future__ import annotations

import dataclasses
import os
import queue
import random
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.checks import PROFILES, Check, InvalidMeasurementError, NotRunError, UnsupportedError
from seatrial.errors import HarnessError, SeatrialError, UnmetRequirementError, UsageError
from seatrial.expectations import Expectation
from seatrial.failure_log import find_told, tell_log
from seatrial.load.host_lock import announce_holder
from seatrial.plugin import OPTIONS
from seatrial.pytest_expectations import check_ids, hold, list_entries, tell_pytest
from seatrial.pytest_items import find_check, list_marks, name_target, tell_check
from seatrial.pytest_outcome import make_check_record
from seatrial.pytest_own_checks import leave_out_replaced, refuse_taken_ids
from seatrial.pytest_plan import Plan
from seatrial.pytest_scheduling import find_group, make_scheduler
from seatrial.records import CapacityRecord, CheckRecord, ErrorRecord, FloorRecord, LoadRecord, Record, RunResult
from seatrial.registry import find_target, find_wire
from seatrial.settings import Settings, read_settings, runs_in_ci
from seatrial.target import Deployment, claim_capabilities, find_version, tell_wire
from seatrial.trial.directory import encode_record
from seatrial.trial.trial import Choice, Trial, choose

if TYPE_CHECKING:
    from seatrial.model import ModelDirectory
    from seatrial.trial.measuring import LoadOrder
    from seatrial.trial.searching import CapacityOrder

FACTS = pytest.StashKey[dict[str, Any]]()
DEFAULT_TARGETS = ("local",)
_TOKEN = "seatrial_trial"  # noqa: S105 - a key of xdist's workerinput
_ALL = "seatrial_all"
# Fixtures that take a timed window themselves.
_MEASURING = frozenset({"seatrial_load", "seatrial_capacity", "seatrial_floor"})
# xdist's ways of handing out tests one by one or by file; `each` and `no` run them in pytest's own order.
_DISTRIBUTIONS = frozenset({"load", "loadgroup", "loadscope", "loadfile", "worksteal"})
# A part of pytest's cacheprovider that only saves collecting; `--lf` chooses without it.
_LAST_FAILED_COLLECTING = "lfplugin-collwrapper"
_FAILED = frozenset({"fail", "error"})
_BROKEN_OFF: dict[int, str] = {
    int(pytest.ExitCode.INTERRUPTED): "it was interrupted, so not everything was asked",
    int(pytest.ExitCode.INTERNAL_ERROR): "pytest broke, so not everything was asked",
}


class TrialSession:
    """A trial over a pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._trial: Trial | None = None
        self._pending: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._named: tuple[str, ...] | None = None
        self._plan = Plan()
        self.result: RunResult | None = None
        self.problem = ""

    def use_settings(self, settings: Settings, named: tuple[str, ...]) -> None:
        """Take these settings instead of reading them: the command line has. `named` are the targets the user wrote."""
        self.settings = settings
        self._named = named

    def check_choice(self) -> None:
        """Raise pytest.UsageError now for a wrong setting or target, rather than in the midst of collection."""
        _ = self.choice, self._expected

    @cached_property
    def settings(self) -> Settings:
        """Settings, from the file, the environment and the options; a wrong one ends the session with its sentence."""
        try:
            settings = read_settings(self._config.rootpath, os.environ)
            if runs_in_ci(os.environ):
                settings = settings.with_given({"require": True}, "CI")
            return settings.with_given(self._read_options(), "option")
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @cached_property
    def choice(self) -> Choice:
        """The targets."""
        try:
            choice = choose(self.settings.general.target, DEFAULT_TARGETS)
            return choice if self._named != () else dataclasses.replace(choice, named=())
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @cached_property
    def _expected(self) -> dict[str, tuple[Expectation, ...]]:
        """Entries of expected failures by target."""
        try:
            return list_entries(self.choice.targets, self.settings.expectations)
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @property
    def trial(self) -> Trial:
        """The trial; it begins at the first use."""
        if self._trial is None:
            self._trial = self._begin()
        return self._trial

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Ask a test of every target, in one xdist group a target."""
        # In an order by chance, so that what changes with time on a machine favours none; the seed is in the result.
        names = list(self.choice.targets)
        random.Random(self.settings.general.seed).shuffle(names)
        groups = [(name, pytest.mark.xdist_group(name)) for name in names]
        parameters = [pytest.param(name, id=name, marks=group) for name, group in groups]
        metafunc.parametrize("seatrial_target", parameters, indirect=True, scope="session")

    def obtain(self, name: str) -> Deployment:
        """Return a target's deployment.

        Raises:
            NotRunError: it lacks something, and that is allowed.
            UnmetRequirementError: it lacks something, and that is not allowed.
            DeploymentError: it did not come up.
        """
        lacking = self.trial.lacking[name]
        if not lacking:
            return self.trial.fleet.obtain(name, self._flush_lines)
        what = "; ".join(f"{each.name}: {each.detail}" for each in lacking)
        fix = "; ".join(dict.fromkeys(each.fix for each in lacking))
        if self.trial.must_run(name):
            raise UnmetRequirementError(f"{name} cannot run here: {what}", fix=fix)
        raise NotRunError(f"{name} is not run: {what}", fix=fix)

    def deploy_beside(self, name: str, model: ModelDirectory) -> AbstractContextManager[Deployment]:
        """Deploy another model to a target that is up, for a block. See `seatrial.trial.beside.deploy_beside`."""
        from seatrial.trial.beside import deploy_beside

        return deploy_beside(self.trial, name, model)

    def measure(self, name: str, deployment: Deployment, order: LoadOrder) -> LoadRecord:
        """Put load on a target.

        Raises:
            NotRunError: under pytest-xdist, whose other workers would be measured along.
            SeatrialError: see `seatrial.trial.measuring.measure_target`.
        """
        from seatrial.trial.measuring import measure_target

        self._require_machine()
        return measure_target(self.trial, name, deployment, order, self._flush_lines)

    def search(self, name: str, deployment: Deployment, order: CapacityOrder) -> CapacityRecord:
        """Search the highest rate at which a target keeps objectives.

        Raises:
            NotRunError: under pytest-xdist, whose other workers would be measured along.
            SeatrialError: see `seatrial.trial.searching.search_target`.
        """
        from seatrial.trial.searching import search_target

        self._require_machine()
        return search_target(self.trial, name, deployment, order, self._flush_lines)

    def compare_paths(self, name: str, deployment: Deployment, rate: float) -> FloorRecord:
        """Measure what a target's network path costs by itself.

        Raises:
            NotRunError: under pytest-xdist, whose other workers would be measured along.
            SeatrialError: see `seatrial.trial.flooring.measure_floor`.
        """
        from seatrial.trial.flooring import measure_floor

        self._require_machine()
        return measure_floor(self.trial, name, deployment, rate, self._flush_lines)

    def _require_machine(self) -> None:
        if self._is_worker:
            raise NotRunError(
                "load needs the machine to itself, and other workers of pytest-xdist use it",
                fix="run without -n, or leave load out with -m 'not benchmark'",
            )

    @cached_property
    def _told_apart(self) -> tuple[type[SeatrialError], ...]:
        """What pytest is told was skipped: its record says what it was, and the verdict of the trial counts it."""
        general = self.settings.general
        strict = general.require or general.profile == "nightly"
        return (NotRunError,) if strict else (NotRunError, InvalidMeasurementError)

    def facts_of(self, item: pytest.Item) -> dict[str, Any]:
        """The figures a test leaves for its record."""
        return item.stash.setdefault(FACTS, {})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Do not ask what a target does not claim, or cannot be asked over its wire, nor what cannot be compared.

        All that is known without deploying it.
        """
        check = find_check(item)
        target = name_target(item)
        if check is None or not target:
            return
        lacking = check.needs - self._read_capabilities(target) if check.needs else None
        if lacking:
            pytest.skip(str(UnsupportedError(f"{target} does not claim {', '.join(sorted(lacking))}")))
        if check.wires and (wire := self._tell_wire(target)):
            _require_wire(check, target, wire)
        # Without a trial, as under --setup-plan, nothing is asked.
        if self._trial is not None and (why := check.say_missing(self._trial.models[0].manifest.golden)):
            raise NotRunError(why, fix="give --model DIR, a directory as `seatrial build NAME DIR` writes")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Keep what is asked out of timed windows, other trials' too; a test that puts load on takes one itself.

        What a deployment turns out to have nothing for, once it is there, is skipped as what its target does not claim is.
        """
        check, deployment = find_check(item), getattr(item, "funcargs", {}).get("seatrial_deployment")
        if check is not None and check.wires and deployment is not None:
            # Some deployments tell their wire only when they are there.
            _require_wire(check, name_target(item), deployment.endpoint.wire)
        measures = not _MEASURING.isdisjoint(getattr(item, "fixturenames", ()))
        try:
            if self._trial is None or not name_target(item) or measures:
                return (yield)
            with self.trial.lock.disturb(self._say), announce_holder():
                return (yield)
        except UnsupportedError as error:
            pytest.skip(str(error))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, self._told_apart):
            report.outcome = "skipped"
            path, line, _ = item.location
            report.longrepr = (path, line or 0, f"Skipped: {call.excinfo.value}")
        if target := name_target(item):
            check = tell_check(item)
            seed = self.settings.general.seed
            record = make_check_record(check, target, item, call, report, self.facts_of(item), seed)
            if record is not None:
                error = call.excinfo.value if call.excinfo is not None else None
                self.trial.record(self._add_log(record, self._hold(record, item, call, report), error))
        if lines := _drain(self._pending):
            vars(report)["seatrial_records"] = lines
        return report

    def _hold(
        self, record: CheckRecord, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> CheckRecord:
        """Hold a record against the entries of expected failures, and have pytest say the same of the test."""
        name = record.target
        error = call.excinfo.value if call.excinfo is not None else None

        def version_of(package: str) -> str:
            target = find_target(name)
            return find_version(target, self.settings.for_target(target), self.trial.fleet.find(name), package)

        deployment = self.trial.fleet.find(name)
        wire = self._tell_wire(name) if deployment is None else deployment.endpoint.wire
        held, ruling = hold(record, error, self.facts_of(item), self._expected.get(name, ()), version_of, wire)
        tell_pytest(report, record, ruling)
        return held

    def _add_log(self, record: CheckRecord, held: CheckRecord, error: BaseException | None) -> CheckRecord:
        """Let what the deployment wrote last stand below a failure of its own; one of the list of failures alone needs none.

        Where the failure is of another deployment, which a check had beside it and which is gone, that is the one.
        """
        if record.status not in _FAILED or held.status not in _FAILED:
            return held
        deployment = self.trial.fleet.find(held.target)
        if deployment is None:
            return held
        claims_logs = "logs" in self._read_capabilities(held.target)
        told = find_told(error) or tell_log(deployment, claims_logs=claims_logs)
        return msgspec.structs.replace(held, message=f"{held.message}\n{told}") if told else held

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._is_worker:
            for line in getattr(report, "seatrial_records", ()):
                self.trial.directory.append(line)
            self._flush_lines()
            self._stop_without_records()

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
        if self._is_worker:
            # A worker takes the next target when it is done with one: begun last, the longest would be waited for alone.
            items.sort(key=_rank_of)

    def _refuse_wrong(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Ask nothing where an entry of expected failures is for no check, or a user's check passes for one of ours."""
        try:
            refuse_taken_ids(items)
            check_ids(self.settings.expectations, self._plan.ids, is_all=self._collects_all)
        except SeatrialError as error:
            # pytest says that it has collected also after an error here, and what is left then is brought up.
            items.clear()
            if not self._is_worker:
                raise pytest.UsageError(str(error)) from error
            # What a worker raises here its controller does not show; what cannot be collected it does.
            report = pytest.CollectReport("seatrial", "failed", str(error), [])
            config.hook.pytest_collectreport(report=report)

    @property
    def _collects_all(self) -> bool:
        """Whether pytest was given no tests in particular, so that all of a user's own are collected."""
        if self._is_worker:
            return bool(self._config.workerinput.get(_ALL))  # type: ignore[attr-defined]
        given = self._config.args_source is pytest.Config.ArgsSource.ARGS
        return not given and not self._config.getoption("lf", default=False)

    def _is_asked(self, check: Check, marks: frozenset[str]) -> bool:
        general = self.settings.general
        if "seatrial_objectives" in marks and not self.settings.objectives.given:
            return False
        if general.check:
            in_profile = check.id in general.check
        else:
            in_profile = PROFILES.index(check.profile) <= PROFILES.index(general.profile)
        return in_profile and (general.suite == "all" or general.suite in marks)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Bring up what will be asked, side by side; a worker of xdist does not know yet what it will be given."""
        wanted = [name for item in session.items if (name := name_target(item))]
        option = session.config.option
        broken = session.testsfailed and not option.continue_on_collection_errors
        if not wanted or broken or option.collectonly or getattr(option, "setupplan", False):
            return
        try:
            trial = self.trial
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error
        for record in self._plan.tell(self.choice.targets, self._is_asked):
            trial.record(record)
        if not self._is_worker:
            trial.record_lacking()
            asked = [name for name in dict.fromkeys(wanted) if not trial.lacking[name]]
            trial.fleet.request(asked)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Keep a target's tests on one worker, for the ways of distributing that would not."""
        return make_scheduler(config, log, self.choice.targets) if config.option.dist in _DISTRIBUTIONS else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died in the midst of a test: its target was not asked everything, which is no pass."""
        target = find_group(crashitem, self.choice.targets)
        if target:
            message = f"the worker crashed while it ran {crashitem}: {report.longreprtext}"
            self.trial.record(ErrorRecord(target=target, message=message, exit_code=int(HarnessError.exit_code)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the trial to a worker of xdist."""
        try:
            first = self._trial is None
            node.workerinput[_TOKEN] = self.trial.make_token()
            node.workerinput[_ALL] = self._collects_all
            if first:
                self.trial.record_lacking()
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._trial is None:
            return
        if self._is_worker:
            self._trial.take_down()
            output = getattr(self._config, "workeroutput", {})
            output["seatrial_records"] = _drain(self._pending)
            return
        try:
            broken_off = _BROKEN_OFF.get(session.exitstatus, "")
            self.result = self._trial.finish(sys.argv, broken_off=broken_off)
        except SeatrialError as error:
            self.problem = str(error)
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return
        if session.exitstatus == pytest.ExitCode.OK and self.result.exit_code != 0:
            code = pytest.ExitCode.NO_TESTS_COLLECTED if self.result.exit_code == 3 else pytest.ExitCode.TESTS_FAILED
            session.exitstatus = code

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002 - xdist's signature
        for line in getattr(node, "workeroutput", {}).pop("seatrial_records", ()):
            self.trial.directory.append(line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.problem:
            terminalreporter.section("seatrial")
            terminalreporter.write_line(self.problem)
        if self.result is not None:
            from seatrial.trial.summary import render_summary

            terminalreporter.section("seatrial")
            terminalreporter.write(render_summary(self.result, self.trial.directory.path))

    def _stop_without_records(self) -> None:
        """End the session when results cannot be written: what is asked from then on is asked for nothing."""
        session = self._config.pluginmanager.get_plugin("session")
        if self._trial is None or not self._trial.directory.problem or session is None or session.shouldstop:
            return
        why = f"{self._trial.directory.problem}: nothing more is asked"
        self._say(why)
        session.shouldstop = why
        # The controller of xdist hands tests out, and does not look at pytest's own session.
        if distributor := self._config.pluginmanager.get_plugin("dsession"):
            distributor.shouldstop = why

    @property
    def _is_worker(self) -> bool:
        return hasattr(self._config, "workerinput")

    def _begin(self) -> Trial:
        if not self._is_worker:
            return Trial.start(self.settings, self.choice, progress=self._say)
        token = self._config.workerinput.get(_TOKEN)  # type: ignore[attr-defined]
        if token is None:
            raise UsageError("with pytest-xdist the targets must be named", fix="give --target, e.g. --target local")
        return Trial.attach(token, record=self._keep, progress=lambda _line: None)

    def _keep(self, record: Record) -> None:
        """A worker sends records with its next report."""
        self._pending.put(encode_record(record))

    def _say(self, line: str) -> None:
        """Take a line of progress, from any thread; pytest's own output is written by the main thread only."""
        say = self._config.pluginmanager.get_plugin("seatrial-progress")
        if say is not None:
            say(line)
        else:
            self._lines.put(line)

    def _flush_lines(self) -> None:
        plugins = self._config.pluginmanager
        reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
        lines = _drain(self._lines)
        if not lines or reporter is None or capture is None or self._config.get_verbosity() < 0:
            return
        with capture.global_and_fixture_disabled():
            for line in lines:
                reporter.write_line(f"seatrial: {line}")

    def _read_capabilities(self, name: str) -> frozenset[str]:
        """What a target claims, with the settings that it has here."""
        target = find_target(name)
        return claim_capabilities(target, self.settings.for_target(target))

    def _tell_wire(self, name: str) -> str:
        """The wire that a target is asked over, with the settings that it has here; empty where only its deployment tells."""
        target = find_target(name)
        return tell_wire(target, self.settings.for_target(target))

    def _read_options(self) -> dict[str, Any]:
        option = self._config.option
        given = {setting: getattr(option, f"seatrial_{setting}", None) for _, setting, _ in OPTIONS}
        values = {setting: value for setting, value in given.items() if value is not None}
        for pair in option.seatrial_set or ():
            name, equals, value = pair.partition("=")
            if not equals:
                raise UsageError(f"--seatrial-set {pair!r} is not NAME=VALUE")
            values[name] = value
        return values


def _drain(lines: queue.SimpleQueue[str]) -> list[str]:
    drained = []
    while not lines.empty():
        drained.append(lines.get())
    return drained


def _require_wire(check: Check, target: str, wire: str) -> None:
    """Skip a check that cannot be asked over a wire."""
    if not check.is_asked_over(find_wire(wire)):
        ways = ", ".join(sorted(check.wires))
        pytest.skip(str(UnsupportedError(f"{check.id} is asked over {ways}; {target} is asked over {wire}")))


def _rank_of(item: pytest.Item) -> int:
    name = name_target(item)
    return -find_target(name).bring_up_rank if name else 0
