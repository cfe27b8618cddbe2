"""What pytest says of a test, as the status of a check."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.checks import ASKED_CASES, PROFILES, Check, InvalidMeasurementError, NotRunError
from seatrial.errors import DeploymentError, InfrastructureError, SeatrialError, UnmetRequirementError
from seatrial.records import CheckRecord, CheckStatus
from seatrial.settings import General
from seatrial.trial.directory import to_facts

_MAX_MESSAGE_CHARS = 8000
_STATUSES: tuple[tuple[type[SeatrialError], CheckStatus], ...] = (
    (NotRunError, "not-run"),
    (UnmetRequirementError, "not-run"),
    (InvalidMeasurementError, "invalid"),
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
        status=judge_outcome(report, error),
        message=describe_outcome(report, error),
        source=f"{check.sentence} ({check.source})",
        reproduce=_reproduce(item, target, check, seed),
        duration_s=report.duration,
        facts=to_facts({name: value for name, value in facts.items() if name != ASKED_CASES}),
    )


def judge_outcome(report: pytest.TestReport, error: BaseException | None) -> CheckStatus:
    """Tell the status: what a check asserts, or a deployment does not do, is the target's; all else is the harness's error."""
    if isinstance(error, UnmetRequirementError) and report.when == "call":
        return "error"  # What it needs was there when it was deployed, and has gone since.
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    if report.passed:
        return "pass"
    if report.skipped:
        return "unsupported"
    if report.when != "call":
        return "error"
    failed = isinstance(error, (AssertionError, DeploymentError, pytest.fail.Exception))
    failed = failed and not isinstance(error, InfrastructureError)
    return "fail" if failed else "error"


def describe_outcome(report: pytest.TestReport, error: BaseException | None) -> str:
    """Return the sentence and the evidence."""
    if report.passed:
        return ""
    if isinstance(error, DeploymentError) and report.when == "setup":
        return f"not asked, for it is not deployed: {error.message.splitlines()[0]}"
    if isinstance(error, SeatrialError):
        return str(error)[:_MAX_MESSAGE_CHARS]
    if error is None:
        return report.longreprtext[-_MAX_MESSAGE_CHARS:]
    text = str(error) or type(error).__name__
    return (text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}")[:_MAX_MESSAGE_CHARS]


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
