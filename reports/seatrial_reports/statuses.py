"""Statuses and verdicts in words and signs, so that colour never carries a meaning alone."""

from __future__ import annotations

from typing import Final

from seatrial.records import RunResult

SIGNS: Final = {
    "pass": "✓",
    "partial": "◐",
    "fail": "✗",
    "error": "!",
    "invalid": "?",
    "unsupported": "∅",
    "expected-failure": "≈",
    "not-run": "○",
}

_VERDICTS: Final = {
    "pass": "Everything that was chosen ran, and every MUST and SHOULD check holds.",
    "partial": "Every MUST and SHOULD check that ran holds, but something was not run.",
    "fail": "At least one MUST or SHOULD check failed.",
    "invalid": "At least one measurement cannot be trusted, so there is no number for it.",
    "error": "A deployment failed or the harness broke: what it stopped was not checked.",
}

RED: Final = frozenset({"fail", "error", "invalid"})


def sign(status: str) -> str:
    """Return the sign of a status or verdict."""
    return SIGNS.get(status, "·")


def describe_verdict(run: RunResult) -> str:
    """Say what the verdict of a trial means."""
    if all(result.status == "not-run" for result in run.targets.values()):
        return "Nothing ran, so nothing is known about any target."
    return _VERDICTS[run.verdict]


def describe_status(status: str) -> str:
    """Say what the status of a target means."""
    return _VERDICTS.get(status, "It was not run.")
