"""Bad input: what is no question is refused as one, and harms nothing."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.target import Deployment
from seatrial.wire import RawQuestion
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask
from seatrial_suites.conformance.broken import list_broken
from seatrial_suites.conformance.refusing import ask_raw, is_refused, say_after, show_exchange

pytestmark = pytest.mark.conformance


@check(
    "B01",
    "what is no JSON is refused",
    profile="standard",
    sentence="A body that is empty, cut off or no JSON is refused as the asker's mistake (a 4xx status, or the wire's own way), "
    "and the next question is answered right.",
    source=f"{PART_E}, B01; RFC 9110, 15.5",
)
def test_broken_json(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    findings = Findings()
    with Client(endpoint, model.manifest) as client:
        right = ask(client, model.cases[0].inputs)
        assert not isinstance(right, NoAnswer), f"before anything broken was sent: {right.message}"
        for name, body in list_broken(endpoint, model).items():
            outcome = ask_raw(client, RawQuestion(body=body))
            if not is_refused(outcome, endpoint):
                findings.judge(name, f"\n{show_exchange(client, endpoint, outcome)}")
            else:
                findings.judge(name, say_after(client, model))
    findings.conclude(seatrial_facts)
