"""Correctness: every answer is the model's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seatrial.checks import check
from seatrial.client import Client
from seatrial.comparison import compare
from seatrial.model import Case, ModelDirectory
from seatrial.target import Deployment
from seatrial.trial.answers import AnswerBook
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask, ask_cases, describe_wrong

pytestmark = pytest.mark.conformance
_MAX_BATCH_CASES = 16


@check(
    "R01",
    "golden cases",
    sentence="Every golden case gets the model's own answer, within the tolerance of its manifest.",
    source=f"{PART_E}, R01",
    answers="own",
)
def test_golden_cases(
    seatrial_deployment: Deployment,
    seatrial_model: ModelDirectory,
    seatrial_answers: AnswerBook,
    seatrial_facts: dict[str, Any],
) -> None:
    """The answers are kept: when all targets are gone, R02 compares them."""
    wrong = ask_cases(seatrial_deployment, seatrial_model, seatrial_facts, seatrial_answers.keep)
    seatrial_facts.update(seatrial_answers.write())
    assert not wrong, describe_wrong(wrong, seatrial_model)


@check(
    "R03",
    "a batch is its singles",
    needs={"batch"},
    sentence="A batch gets, row by row and in order, the answers that its rows get alone.",
    source=f"{PART_E}, R03",
)
def test_batch_equals_singles(
    seatrial_deployment: Deployment, seatrial_model: ModelDirectory, seatrial_facts: dict[str, Any]
) -> None:
    if not seatrial_model.manifest.batched:
        pytest.skip(f"{seatrial_model.name} declares no batch dimension")
    cases = _choose_batch(seatrial_model)
    if not cases:
        pytest.skip(f"no golden case of {seatrial_model.name} has a row")
    batch = {
        spec.name: np.concatenate([case.inputs[spec.name] for case in cases]) for spec in seatrial_model.manifest.inputs
    }
    want = {
        spec.name: np.concatenate([case.outputs[spec.name] for case in cases])
        for spec in seatrial_model.manifest.outputs
    }
    rows = seatrial_facts["rows"] = sum(_rows_of(case) for case in cases)
    with Client(seatrial_deployment.endpoint, seatrial_model.manifest) as client:
        outcome = ask(client, batch)
    assert not isinstance(outcome, NoAnswer), f"a batch of {rows} rows: {outcome.message}"
    comparison = compare(want, outcome.outputs, seatrial_model.manifest)
    assert comparison.right, f"a batch of {rows} rows: {comparison.message}"


def _choose_batch(model: ModelDirectory) -> list[Case]:
    """Return cases with at least two rows in all, the same one twice if need be; none when no case has a row."""
    cases = [case for case in model.cases if _rows_of(case) > 0][:_MAX_BATCH_CASES]
    return cases * 2 if len(cases) == 1 and _rows_of(cases[0]) == 1 else cases


def _rows_of(case: Case) -> int:
    return int(next(iter(case.inputs.values())).shape[0])
