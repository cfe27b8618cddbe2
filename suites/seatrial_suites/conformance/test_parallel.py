"""Parallel work: a deployment works on as many predictions at once as it declares."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.model import Case, ModelDirectory
from seatrial.target import DeclaresConcurrency, Deployment, find_endpoint
from seatrial_suites.conformance import logs
from seatrial_suites.conformance.altered import Deploy, Turn, copy_at_work
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.at_work import name_machine
from seatrial_suites.conformance.crowd import list_right_alone
from seatrial_suites.conformance.straining import Crowd, ask_in_a_crowd
from seatrial_suites.conformance.working import Prediction, count_at_once, read_predictions

pytestmark = pytest.mark.conformance
HOLD_S = 0.5
"""What a prediction takes: in this time one too many can come in."""
PATIENCE_S = 3.0
"""Until as many as declared are at work, where they do not come at one moment."""
_MORE = 3
"""Asked at once beyond the declared number."""
_CASES = 16
_ALL_LINES = 100_000
_POLL_S = 0.1


@check(
    "N02",
    "declared concurrency is reached and kept",
    level="SHOULD",
    needs={"concurrency", "logs", "model-directory"},
    profile="standard",
    sentence=f"Asked {_MORE} questions more at the same time than it is declared to work on at once, it works on as many as "
    "declared at some moment, on more at none, and answers each right, or says that it has too much to do.",
    source=f"{PART_E}, N02; Gradio documentation, Queuing, and max_threads of Blocks.launch; Python documentation, "
    "asyncio.to_thread and ThreadPoolExecutor, for MLflow; the reference server's option --threads",
    apart=True,
)
def test_declared_concurrency(
    seatrial_deployment: Deployment,
    seatrial_deploy: Deploy,
    seatrial_model: ModelDirectory,
    seatrial_turn: Turn,
    seatrial_facts: dict[str, Any],
    tmp_path: Path,
) -> None:
    """A copy of the model tells in the log when it is at work. The wire that lets in most comes first: it fills the copy."""
    model, findings = seatrial_model, Findings()
    assert isinstance(seatrial_deployment, DeclaresConcurrency), "it claims concurrency, and does not declare any"
    with seatrial_turn():
        declared = seatrial_deployment.declare_concurrency()
        assert declared, "it claims concurrency, and declares none by any wire"
        cases = list_right_alone(seatrial_deployment, model.cases[:_CASES])
    assert cases, "asked alone, no golden case is answered right"
    copy = copy_at_work(
        model, tmp_path / "at-work", expected=max(declared.values()), patience_s=PATIENCE_S, hold_s=HOLD_S
    )
    with seatrial_deploy(copy) as deployment:
        for wire in sorted(declared, key=declared.__getitem__, reverse=True):
            found = _ask_more(deployment, wire, declared[wire], cases)
            findings.judge(wire, found.say_of_it())
            seatrial_facts |= {
                f"declared_{wire}": found.declared,
                f"most_at_once_{wire}": found.most_at_once,
                f"asked_{wire}": found.crowd.counts.total(),
            }
    findings.conclude(seatrial_facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What became of questions beyond a declared number, and what the log tells of them."""

    declared: int
    crowd: Crowd
    predictions: Sequence[Prediction]

    @property
    def most_at_once(self) -> int:
        return count_at_once(self.predictions)

    def say_of_it(self) -> str:
        """Return what is wrong, or an empty string."""
        for kind in ("wrong", "failed", "nothing"):
            if self.crowd.counts[kind]:
                return self.crowd.describe(kind)
        told, answered, most = len(self.predictions), self.crowd.counts["right"], self.most_at_once
        if told < answered:
            return f"{answered} questions were answered, and its log tells of {told} predictions"
        asked = f"of {self.crowd.counts.total()} asked at once"
        if most > self.declared:
            return f"it worked on {most} {asked}, and declares that it works on {self.declared}"
        if most < self.declared:
            return f"it never worked on more than {most} {asked}, and declares that it works on {self.declared}"
        return ""


def _ask_more(deployment: Deployment, wire: str, declared: int, cases: Sequence[Case]) -> _Found:
    endpoint = find_endpoint(deployment, wire)
    assert endpoint is not None, f"it declares a number for the wire {wire}, and does not speak it"
    since_ns = time.monotonic_ns()
    crowd = ask_in_a_crowd(endpoint, deployment.model, cases, clients=declared + _MORE, for_s=0.0)
    predictions = _wait_told(deployment, since_ns, crowd.counts["right"])
    return _Found(declared=declared, crowd=crowd, predictions=predictions)


def _wait_told(deployment: Deployment, since_ns: int, answered: int) -> Sequence[Prediction]:
    """Return the predictions since a moment, once the log tells of as many as were answered, or has had the time to.

    Before it, a server may have tried the model out.
    """
    deadline_s = time.monotonic() + logs.LOG_WAIT_S
    while True:
        told = read_predictions(deployment.read_logs(_ALL_LINES).splitlines())
        if any(each.machine != name_machine() for each in told):
            pytest.skip("it runs on another machine, whose clock says nothing here")
        done = [each for each in told if each.entered_ns >= since_ns and each.left_ns is not None]
        if len(done) >= answered or time.monotonic() > deadline_s:
            return done
        time.sleep(_POLL_S)
