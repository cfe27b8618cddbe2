"""The heavy half of the pytest plug-in: one trial over a pytest session, its outcomes recorded as checks.

Under pytest-xdist the controller owns the trial and writes its files; workers join it, and send records along with their
test reports (a dict attribute of a report crosses, its stash does not).
"""

from __future__ import annotations

import dataclasses
import os
import queue
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.checks import NotRunError
from seatrial.errors import SeatrialError, UnmetRequirementError, UsageError
from seatrial.expectations import Expectation
from seatrial.plugin import OPTIONS
from seatrial.pytest_apart import Apart
from seatrial.pytest_asking import Asking
from seatrial.pytest_collecting import Collecting
from seatrial.pytest_distributing import ALL, TOKEN, Distributing, draw_order
from seatrial.pytest_expectations import list_entries
from seatrial.pytest_interrupting import Interrupting
from seatrial.pytest_recording import Recording
from seatrial.records import CapacityRecord, FloorRecord, LoadRecord, Record, RunResult
from seatrial.registry import find_target
from seatrial.settings import Settings, read_settings, runs_in_ci
from seatrial.target import Deployment, claim_capabilities, tell_wire
from seatrial.trial.directory import encode_record
from seatrial.trial.trial import Choice, Trial, choose

if TYPE_CHECKING:
    from seatrial.load.calibration import Calibration
    from seatrial.model import ModelDirectory
    from seatrial.trial.measuring import LoadOrder
    from seatrial.trial.searching import CapacityOrder

FACTS = pytest.StashKey[dict[str, Any]]()
DEFAULT_TARGETS = ("local",)
_BROKEN_OFF: dict[int, str] = {
    int(pytest.ExitCode.INTERRUPTED): "it was interrupted, so not everything was asked",
    int(pytest.ExitCode.INTERNAL_ERROR): "pytest broke, so not everything was asked",
}


def register_session(config: pytest.Config, name: str) -> TrialSession:
    """Begin a session, and have pytest call it under this name, and its parts."""
    session = TrialSession(config)
    plugins = config.pluginmanager
    plugins.register(session, name)
    parts = (
        Collecting(session),
        Asking(session),
        Apart(session, config),
        Recording(session, config),
        Distributing(session),
        Interrupting(),
    )
    for part in parts:
        plugins.register(part, f"{name}-{type(part).__name__.lower()}")
    return session


class TrialSession:
    """A trial over a pytest session: its settings, its targets and what is done with them; the hooks are its parts'."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._trial: Trial | None = None
        self._pending: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._named: tuple[str, ...] | None = None
        self.result: RunResult | None = None
        self.problem = ""

    def use_settings(self, settings: Settings, named: tuple[str, ...]) -> None:
        """Take these settings instead of reading them: the command line has. `named` are the targets the user wrote."""
        self.settings = settings
        self._named = named

    def check_choice(self) -> None:
        """Raise pytest.UsageError now for a wrong setting or target, rather than in the midst of collection."""
        _ = self.choice, self.expected

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
            named = () if self._named == () else choice.named
            return dataclasses.replace(
                choice, named=named, order=draw_order(self._config, self.settings, choice.targets)
            )
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @cached_property
    def expected(self) -> dict[str, tuple[Expectation, ...]]:
        """Entries of expected failures by target."""
        try:
            return list_entries(self.choice.targets, self.settings.expectations)
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @property
    def begun(self) -> Trial | None:
        """The trial, None before it has begun."""
        return self._trial

    @property
    def trial(self) -> Trial:
        """The trial; it begins at the first use."""
        if self._trial is None:
            self._trial = self._begin()
        return self._trial

    @property
    def collects_all(self) -> bool:
        """Whether pytest was given no tests in particular, so that all of a user's own are collected."""
        if self.is_worker:
            return bool(self._config.workerinput.get(ALL))  # type: ignore[attr-defined]
        given = self._config.args_source is pytest.Config.ArgsSource.ARGS
        return not given and not self._config.getoption("lf", default=False)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Ask a test of every target, in one xdist group a target."""
        groups = [(name, pytest.mark.xdist_group(name)) for name in self.choice.order]
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
            return self.trial.fleet.obtain(name, self.flush_lines)
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
        return measure_target(self.trial, name, deployment, order, self.flush_lines)

    def search(self, name: str, deployment: Deployment, order: CapacityOrder) -> CapacityRecord:
        """Search the highest rate at which a target keeps objectives.

        Raises:
            NotRunError: under pytest-xdist, whose other workers would be measured along.
            SeatrialError: see `seatrial.trial.searching.search_target`.
        """
        from seatrial.trial.searching import search_target

        self._require_machine()
        return search_target(self.trial, name, deployment, order, self.flush_lines)

    def compare_paths(self, name: str, deployment: Deployment, rate: float) -> FloorRecord:
        """Measure what a target's network path costs by itself.

        Raises:
            NotRunError: under pytest-xdist, whose other workers would be measured along.
            SeatrialError: see `seatrial.trial.flooring.measure_floor`.
        """
        from seatrial.trial.flooring import measure_floor

        self._require_machine()
        return measure_floor(self.trial, name, deployment, rate, self.flush_lines)

    @property
    def calibration(self) -> Calibration | None:
        """What this machine can tell apart, as the trial has measured it before its first load; None where it has not."""
        from seatrial.trial.measuring import read_calibration

        return read_calibration(self.trial.directory.path)

    def _require_machine(self) -> None:
        if self.is_worker:
            raise NotRunError(
                "load needs the machine to itself, and other workers of pytest-xdist use it",
                fix="run without -n, or leave load out with -m 'not benchmark'",
            )

    def facts_of(self, item: pytest.Item) -> dict[str, Any]:
        """The figures a test leaves for its record."""
        return item.stash.setdefault(FACTS, {})

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """After the tear-down of the session's fixtures, one that fails too, and before the terminal's summary."""
        try:
            return (yield)
        finally:
            self._finish(session)

    def _finish(self, session: pytest.Session) -> None:
        if self._trial is None:
            return
        if self.is_worker:
            self._trial.take_down()
            output = getattr(self._config, "workeroutput", {})
            output["seatrial_records"] = self.drain_records()
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

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.problem:
            terminalreporter.section("seatrial")
            terminalreporter.write_line(self.problem)
        if self.result is not None:
            from seatrial.trial.summary import render_summary

            terminalreporter.section("seatrial")
            terminalreporter.write(render_summary(self.result, self.trial.directory.path))

    @property
    def is_worker(self) -> bool:
        """Whether this is a worker of xdist."""
        return hasattr(self._config, "workerinput")

    def _begin(self) -> Trial:
        if not self.is_worker:
            return Trial.start(self.settings, self.choice, progress=self.say)
        token = self._config.workerinput.get(TOKEN)  # type: ignore[attr-defined]
        if token is None:
            raise UsageError("with pytest-xdist the targets must be named", fix="give --target, e.g. --target local")
        return Trial.attach(token, record=self._keep, progress=lambda _line: None)

    def drain_records(self) -> list[str]:
        """Return the records that a worker has kept since the last time."""
        return _drain(self._pending)

    def keep_again(self, report: pytest.TestReport) -> None:
        """Take back what a worker gave a report that is not sent."""
        for line in getattr(report, "seatrial_records", ()):
            self._pending.put(line)

    def _keep(self, record: Record) -> None:
        """A worker sends records with its next report."""
        self._pending.put(encode_record(record))

    def say(self, line: str) -> None:
        """Take a line of progress, from any thread; pytest's own output is written by the main thread only."""
        say = self._config.pluginmanager.get_plugin("seatrial-progress")
        if say is not None:
            say(line)
        else:
            self._lines.put(line)

    def flush_lines(self) -> None:
        """Write the lines that came, from the main thread."""
        plugins = self._config.pluginmanager
        reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
        lines = _drain(self._lines)
        if not lines or reporter is None or capture is None or self._config.get_verbosity() < 0:
            return
        with capture.global_and_fixture_disabled():
            for line in lines:
                reporter.write_line(f"seatrial: {line}")

    def read_capabilities(self, name: str) -> frozenset[str]:
        """What a target claims, with the settings that it has here."""
        target = find_target(name)
        return claim_capabilities(target, self.settings.for_target(target))

    def tell_wire(self, name: str) -> str:
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
