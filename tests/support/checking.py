"""`seatrial check` as a command, and what it tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from pytest_sessions import run_seatrial
from seatrial.check_result import CheckResult

PASSING = {"R03", "B01", "N01"}


def check(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_seatrial(directory, "check", *arguments, timeout_s=160)


def read_result(done: subprocess.CompletedProcess[str]) -> CheckResult:
    assert done.stdout, done.stderr
    return msgspec.json.decode(done.stdout, type=CheckResult)


def statuses(result: CheckResult) -> dict[str, str]:
    return {each.id: each.status for each in result.checks}
