"""Entries of expected failures in a pytest session: that their checks exist, and what they make of a test's report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from seatrial import registry
from seatrial.checks import ASKED_CASES, FindingsError
from seatrial.errors import UsageError
from seatrial.expectations import Expectation, read_shipped
from seatrial.expected_failures import Outcome, Ruling, rule
from seatrial.records import CheckRecord
from seatrial.suggestion import suggest
from seatrial.suite_checks import list_suite_checks


def list_entries(
    targets: Collection[str], given: Mapping[str, Sequence[Expectation]]
) -> dict[str, tuple[Expectation, ...]]:
    """Return all entries of each target, its own and the user's.

    Raises:
        UsageError: the file that a target brings is not as it must be, or an entry is for a wire that there is not.
    """
    entries = {name: (*_read_shipped(name), *given.get(name, ())) for name in targets}
    for entry in (each for listed in entries.values() for each in listed):
        for wire in entry.wires:
            try:
                registry.find_wire(wire)
            except UsageError as error:
                raise UsageError(f"{entry.source}: {error.message}", fix=error.fix) from error
    return entries


def check_ids(given: Mapping[str, Sequence[Expectation]], collected: Collection[str], *, is_all: bool) -> None:
    """Refuse a user's entry for a check that there is not.

    What was collected may be a part: then the checks of our suites are known all the same, and what is named like a test of
    the user's own may be one that was not collected.

    Raises:
        UsageError: an entry names no check.
    """
    entries = [entry for each in given.values() for entry in each if entry.check not in collected]
    if not entries:
        return
    known = {*collected, *list_suite_ids()}
    for entry in entries:
        if entry.check not in known and (is_all or not entry.check.startswith("test")):
            raise UsageError(f"{entry.source}: there is no check {entry.check!r}.{suggest(entry.check, known)}")


def list_suite_ids() -> set[str]:
    """Return the ids of all checks of our suites, whether collected or not."""
    return {each.check.id for each in list_suite_checks()}


def hold(
    record: CheckRecord,
    error: BaseException | None,
    facts: Mapping[str, Any],
    entries: Sequence[Expectation],
    version_of: Callable[[str], str],
    wire: str,
) -> tuple[CheckRecord, Ruling]:
    """Return the record as the entries for its check, over this wire, leave it, and why."""
    asked = facts.get(ASKED_CASES)
    outcome = Outcome(
        status=record.status,
        message=record.message,
        found={each.case: each.message for each in error.findings} if isinstance(error, FindingsError) else None,
        asked=None if asked is None else frozenset(asked),
    )
    heard = [entry for entry in entries if entry.check == record.id and (not entry.wires or wire in entry.wires)]
    ruling = rule(outcome, heard, version_of)
    # A list that is wrong fails the run, also where the check itself is one that MAY fail.
    level = "MUST" if ruling.stale else record.level
    changed = {
        "status": ruling.status,
        "message": ruling.message,
        "notes": (*record.notes, *ruling.notes),
        "level": level,
    }
    return msgspec.structs.replace(record, **changed), ruling


def tell_pytest(report: pytest.TestReport, before: CheckRecord, ruling: Ruling) -> None:
    """Change what pytest says of a test to what is recorded of it."""
    if ruling.status == "expected-failure":
        report.outcome = "skipped"
        vars(report)["wasxfail"] = (
            ruling.message
        )  # as pytest's own xfail leaves it; an attribute crosses to xdist's controller
    elif ruling.status == "fail" and before.status == "pass":
        report.outcome = "failed"
        report.longrepr = ruling.message
    elif ruling.message != before.message:
        report.sections.append(("expected failures", ruling.message))


def _read_shipped(name: str) -> tuple[Expectation, ...]:
    try:
        target = registry.find_target(name)
    except UsageError:
        return ()  # Its extra is not installed: it lacks that, and is not run.
    return read_shipped(target)
