"""What pytest says of a test, as the status of a check."""

from __future__ import annotations

from typing import Literal

import pytest

from seatrial.checks import InvalidMeasurementError, NotRunError
from seatrial.errors import DeploymentError, HarnessError, InfrastructureError, UnmetRequirementError
from seatrial.load.driver import ExhaustedClientError
from seatrial.pytest_outcome import judge_outcome


@pytest.mark.parametrize(
    ("error", "at_setup", "at_call"),
    [
        (AssertionError("wrong"), "error", "fail"),
        (DeploymentError("it did not come back"), "error", "fail"),
        (InfrastructureError("the engine does not answer"), "error", "error"),
        (HarnessError("broken"), "error", "error"),
        (KeyError("broken"), "error", "error"),
        (InvalidMeasurementError("late sends"), "invalid", "invalid"),
        (ExhaustedClientError("no ports", fix="fewer", exhausted="ports"), "invalid", "invalid"),
        (NotRunError("not here"), "not-run", "not-run"),
        (UnmetRequirementError("there is no engine"), "not-run", "error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_only_what_the_target_does_is_its_failure(error: Exception, at_setup: str, at_call: str) -> None:
    def report(when: Literal["setup", "call"]) -> pytest.TestReport:
        return pytest.TestReport("test_x", ("test_x.py", 1, "test_x"), {}, "failed", None, when)

    assert judge_outcome(report("setup"), error) == at_setup
    assert judge_outcome(report("call"), error) == at_call
