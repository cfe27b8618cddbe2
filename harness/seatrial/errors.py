"""What can go wrong, one class per cause, each with the exit code that the command line gives for it."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class ExitCode(enum.IntEnum):
    """Exit codes of the command line. pytest keeps its own."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    NOTHING_RAN = 3
    REQUIREMENT_UNMET = 4
    REGRESSION = 5
    DEPLOYMENT_FAILED = 6
    MEASUREMENT_INVALID = 7


# When several hold, the first of these is the exit code: what makes the rest meaningless comes first.
PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.REQUIREMENT_UNMET,
    ExitCode.DEPLOYMENT_FAILED,
    ExitCode.NOTHING_RAN,
    ExitCode.CHECK_FAILED,
    ExitCode.MEASUREMENT_INVALID,
    ExitCode.REGRESSION,
)


def choose_exit_code(causes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code to give when all of `causes` hold."""
    present = set(causes)
    return next((code for code in PRECEDENCE if code in present), ExitCode.OK)


class SeatrialError(Exception):
    """Base of every error that is meant for the user's eyes.

    `message` says what happened, what was expected and the evidence; `fix` says what to do next.
    """

    exit_code = ExitCode.CHECK_FAILED

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\nFix: {self.fix}" if self.fix else self.message


class UsageError(SeatrialError):
    """An option, a setting or a name that cannot be used as given."""

    exit_code = ExitCode.USAGE


class ModelError(SeatrialError):
    """A model that does not import, does not load, or is not what its manifest says."""

    exit_code = ExitCode.USAGE


class UnmetRequirementError(SeatrialError):
    """Something a target needs is not on this machine."""

    exit_code = ExitCode.REQUIREMENT_UNMET


class DeploymentError(SeatrialError):
    """A deployment did not come up, or broke while it was changed."""

    exit_code = ExitCode.DEPLOYMENT_FAILED


class InfrastructureError(DeploymentError):
    """What deployments run on, an engine or a cluster, does not answer: never the target's failure."""


class HarnessError(SeatrialError):
    """The harness or the machine broke: never the target's failure."""

    exit_code = ExitCode.DEPLOYMENT_FAILED
