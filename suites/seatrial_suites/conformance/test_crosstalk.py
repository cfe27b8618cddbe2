"""Concurrency: what is asked at the same time is not mixed up."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import check
from seatrial.load.questions import pick_cases
from seatrial.target import Deployment
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.crowd import ask_together, describe_crowd, list_right_alone

pytestmark = pytest.mark.conformance
CLIENTS = 8
_MOST_ROUNDS = 24


@check(
    "N01",
    "no cross-talk",
    profile="standard",
    sentence="Questions that several clients ask at the same time each get their own answer, and the right one.",
    source=f"{PART_E}, N01",
)
def test_no_cross_talk(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    """Only what is answered right alone is asked. The cases differ in their answers, and the clients are far apart in them, so
    that another's answer is told as one.
    """
    model = seatrial_deployment.model
    cases = pick_cases(model.cases, model.manifest)
    if len(cases) < 2:
        pytest.skip(f"the golden cases of {model.name} cannot be told apart by their answers")
    cases = list_right_alone(seatrial_deployment, cases)
    assert len(cases) > 1, (
        f"asked alone, {len(cases)} cases are answered right: too few to tell whether answers are mixed up"
    )
    clients = min(CLIENTS, len(cases))
    asked = ask_together(seatrial_deployment, cases, clients=clients, rounds=min(_MOST_ROUNDS, len(cases)))
    wrong = [each for each in asked if not each.right]
    crossed = sum(bool(each.whose) for each in wrong)
    seatrial_facts.update(clients=clients, questions=len(asked), right=len(asked) - len(wrong), of_another=crossed)
    assert not wrong, describe_crowd(asked)
