"""What pytest says of a test, as the status of a check."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.checks import ASKED_CASES, PROFILES, Check, NotRunError
from seatrial.errors import DeploymentError, ExitCode, InfrastructureError, SeatrialError, UnmetRequirementError
from seatrial.pytest_items import is_ours
from seatrial.records import CheckRecord, CheckStatus
from seatrial.settings import General
from seatrial.trial.directory import to_facts

_MAX_MESSAGE_CHARS = 8000
_OF_PYTEST = frozenset({"_pytest", "pluggy"})
_OURS = frozenset({"seatrial", "seatrial_suites"})
_STATUSES: tuple[tuple[type[SeatrialError], CheckStatus], ...] = (
    (NotRunError, "not-run"),
    (UnmetRequirementError, "not-run"),
)


def make_check_record(
    check: Check,
    target: str,
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    facts: Mapping[str, Any],
    seed: int,
) -> CheckRecord | None:
    """Return the record of a check, or None when this phase of the test does not decide it; `seed` is the trial's.

    A check is decided by its call, or by a set-up that does not get that far; a tear-down that fails is an error of its own.
    """
    if report.passed and report.when != "call":
        return None
    error = call.excinfo.value if call.excinfo is not None else None
    return CheckRecord(
        target=target,
        id=check.id,
        title=check.title,
        level=check.level,
        status=judge_outcome(report, error, skipped_by_others=_is_skipped_by_others(item, call)),
        message=describe_outcome(report, error),
        source=f"{check.sentence} ({check.source})",
        reproduce=_reproduce(item, target, check, seed),
        duration_s=report.duration,
        notes=(f"asked in place of {check.replaces}, which is not asked",) if check.replaces else (),
        facts=to_facts({name: value for name, value in facts.items() if name != ASKED_CASES}),
    )


def judge_outcome(
    report: pytest.TestReport, error: BaseException | None, *, skipped_by_others: bool = False
) -> CheckStatus:
    """Tell the status: what a check asserts, or a deployment does not do, is the target's; all else is the harness's error.

    That a target does not claim something is said by a check itself. Whoever else skips it, by a mark or a fixture, keeps it from
    being asked (`skipped_by_others`); and pytest's own `xfail` says that it was known to fail, not that it could not be asked.
    """
    if isinstance(error, UnmetRequirementError) and report.when == "call":
        return "error"  # What it needs was there when it was deployed, and has gone since.
    if (status := _judge_error(error)) is not None:
        return status
    if report.passed:
        return "pass"
    if report.skipped:
        return _judge_skip(report, skipped_by_others=skipped_by_others)
    if report.when != "call":
        return "error"
    failed = isinstance(error, (AssertionError, DeploymentError, pytest.fail.Exception))
    failed = failed and not isinstance(error, InfrastructureError)
    return "fail" if failed else "error"


def _judge_error(error: BaseException | None) -> CheckStatus | None:
    """Return the status that an error of ours has wherever it comes from; None of any other."""
    if isinstance(error, SeatrialError) and error.exit_code is ExitCode.MEASUREMENT_INVALID:
        return "invalid"
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), None)


def _judge_skip(report: pytest.TestReport, *, skipped_by_others: bool) -> CheckStatus:
    if hasattr(report, "wasxfail"):
        return "expected-failure" if report.when == "call" else "not-run"
    return "not-run" if skipped_by_others else "unsupported"


def describe_outcome(report: pytest.TestReport, error: BaseException | None) -> str:
    """Return the sentence and the evidence."""
    if report.passed:
        return ""
    if report.skipped and hasattr(report, "wasxfail"):
        return f"a mark of pytest's expects it: {report.wasxfail}\n{error}"[:_MAX_MESSAGE_CHARS]
    if isinstance(error, DeploymentError) and report.when == "setup":
        return f"not asked, for it is not deployed: {error.message.splitlines()[0]}"
    if isinstance(error, SeatrialError):
        return str(error)[:_MAX_MESSAGE_CHARS]
    if error is None:
        return report.longreprtext[-_MAX_MESSAGE_CHARS:]
    text = str(error) or type(error).__name__
    return (text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}")[:_MAX_MESSAGE_CHARS]


def _is_skipped_by_others(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Whether a test of our suites was skipped by code that is not ours, a mark or a user's fixture."""
    if call.excinfo is None or not call.excinfo.errisinstance(pytest.skip.Exception) or not is_ours(item):
        return False
    modules = [str(entry.frame.f_globals.get("__name__", "")) for entry in call.excinfo.traceback]
    raised_in = [name for name in modules if name.partition(".")[0] not in _OF_PYTEST]
    return not raised_in or raised_in[-1].partition(".")[0] not in _OURS


def _reproduce(item: pytest.Item, target: str, check: Check, seed: int) -> str:
    """Return the command that runs this test alone on this target, and draws by chance what was drawn here."""
    module = getattr(item, "module", None)
    name = getattr(item, "originalname", None) or item.name
    if module is not None and module.__name__.startswith("seatrial_suites."):
        where = f"--pyargs {module.__name__}"
    else:
        where = shlex.quote(item.nodeid.partition("::")[0])
    profile = "" if check.profile == PROFILES[0] else f" --seatrial-profile {check.profile}"
    drawn = "" if seed == General().seed else f" --seatrial-seed {seed}"
    return f"pytest {where} -k {shlex.quote(name)} --target {target}{profile}{drawn}"
