"""Bad input: what is no question is refused as one, and harms nothing."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import check
from seatrial.client import Client
from seatrial.comparison import compare
from seatrial.target import Deployment
from seatrial.wire import RawQuestion
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask
from seatrial_suites.conformance.broken import list_broken
from seatrial_suites.conformance.refusing import ask_raw, is_refused, show_exchange

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
    wrong: list[str] = []
    with Client(endpoint, model.manifest) as client:
        right = ask(client, model.cases[0].inputs)
        assert not isinstance(right, NoAnswer), f"before anything broken was sent: {right.message}"
        broken = list_broken(endpoint, model)
        for name, body in broken.items():
            outcome = ask_raw(client, RawQuestion(body=body))
            if not is_refused(outcome, endpoint):
                wrong.append(f"{name}:\n{show_exchange(client, endpoint, outcome)}")
                continue
            after = ask(client, model.cases[0].inputs)
            if isinstance(after, NoAnswer):
                wrong.append(f"{name}: the next question has no answer: {after.message}")
            elif not (found := compare(model.cases[0].outputs, after.outputs, model.manifest)).right:
                wrong.append(f"{name}: the next question is answered wrong: {found.message}")
    seatrial_facts.update(bodies=len(broken), refused=len(broken) - len(wrong))
    assert not wrong, f"{len(wrong)} of {len(broken)} broken bodies:\n" + "\n".join(wrong)
