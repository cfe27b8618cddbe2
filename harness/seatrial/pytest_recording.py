"""Recording: each test's outcome becomes the record of a check, held against what is known to fail."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import pytest

from seatrial.checks import InvalidMeasurementError, NotRunError
from seatrial.errors import SeatrialError
from seatrial.failure_log import find_told, tell_log
from seatrial.pytest_expectations import hold, tell_pytest
from seatrial.pytest_items import name_target, tell_check
from seatrial.pytest_outcome import make_check_record
from seatrial.records import CheckRecord
from seatrial.registry import find_target
from seatrial.target import find_version

if TYPE_CHECKING:
    from seatrial.pytest_session import TrialSession

_FAILED = frozenset({"fail", "error"})


class Recording:
    """A pytest plug-in: hooks on the reports of a session's tests."""

    def __init__(self, session: TrialSession, config: pytest.Config) -> None:
        self._session = session
        self._config = config

    @cached_property
    def _told_apart(self) -> tuple[type[SeatrialError], ...]:
        """What pytest is told was skipped: its record says what it was, and the verdict of the trial counts it."""
        general = self._session.settings.general
        strict = general.require or general.profile == "nightly"
        return (NotRunError,) if strict else (NotRunError, InvalidMeasurementError)

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
            seed = self._session.settings.general.seed
            record = make_check_record(check, target, item, call, report, self._session.facts_of(item), seed)
            if record is not None:
                error = call.excinfo.value if call.excinfo is not None else None
                self._session.trial.record(self._add_log(record, self._hold(record, item, call, report), error))
        if lines := self._session.drain_records():
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
            return find_version(
                target, self._session.settings.for_target(target), self._session.trial.fleet.find(name), package
            )

        deployment = self._session.trial.fleet.find(name)
        wire = self._session.tell_wire(name) if deployment is None else deployment.endpoint.wire
        held, ruling = hold(
            record, error, self._session.facts_of(item), self._session.expected.get(name, ()), version_of, wire
        )
        tell_pytest(report, record, ruling)
        return held

    def _add_log(self, record: CheckRecord, held: CheckRecord, error: BaseException | None) -> CheckRecord:
        """Let what the deployment wrote last stand below a failure of its own; one of the list of failures alone needs none.

        Where the failure is of another deployment, which a check had beside it and which is gone, that is the one.
        """
        if record.status not in _FAILED or held.status not in _FAILED:
            return held
        deployment = self._session.trial.fleet.find(held.target)
        if deployment is None:
            return held
        claims_logs = "logs" in self._session.read_capabilities(held.target)
        told = find_told(error) or tell_log(deployment, claims_logs=claims_logs)
        return msgspec.structs.replace(held, message=f"{held.message}\n{told}") if told else held

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._session.is_worker:
            for line in getattr(report, "seatrial_records", ()):
                self._session.trial.directory.append(line)
            self._session.flush_lines()
            self._stop_without_records()

    def _stop_without_records(self) -> None:
        """End the session when results cannot be written: what is asked from then on is asked for nothing."""
        trial, plugins = self._session.begun, self._config.pluginmanager
        session = plugins.get_plugin("session")
        if trial is None or not trial.directory.problem or session is None or session.shouldstop:
            return
        why = f"{trial.directory.problem}: nothing more is asked"
        self._session.say(why)
        session.shouldstop = why
        # The controller of xdist hands tests out, and does not look at pytest's own session.
        if distributor := plugins.get_plugin("dsession"):
            distributor.shouldstop = why
