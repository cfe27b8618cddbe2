"""The longest body: accepted to its last byte, and not beyond."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.target import Deployment
from seatrial.wire import Answer, RawQuestion, Refusal
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.reaching import MALFORMED, find_host
from seatrial_suites.conformance.refusing import OVER_HTTP, ask_raw, is_right_answer, say_after, show_exchange

pytestmark = pytest.mark.conformance
_TOO_LARGE = 413


@check(
    "B05",
    "the longest body is the documented one",
    level="SHOULD",
    profile="standard",
    sentence="A body as long as is documented is answered right, one a byte longer gets 413, and the next question is answered "
    "right.",
    source=f"{PART_E}, B05; RFC 9110, 15.5.14; docs.aws.amazon.com, Model Hosting FAQs (25 MB)",
    wires=OVER_HTTP,
)
def test_longest_body(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    """White space after the question makes it long, so that reading it costs no more than its bytes."""
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    limit_bytes = endpoint.body_limit_bytes
    if limit_bytes is None:
        pytest.skip(f"no document says how long a body may be at {endpoint.address}")
    seatrial_facts["body_limit_bytes"] = limit_bytes
    body = make_body(endpoint, model)
    findings = Findings()
    with Client(endpoint, model.manifest) as client:
        outcome = ask_raw(client, RawQuestion(body=body.ljust(limit_bytes)))
        held = isinstance(outcome, Answer) and is_right_answer(model, outcome)
        findings.judge("as long as may be", "" if held else f"\n{show_exchange(client, endpoint, outcome)}")
        outcome = ask_raw(client, RawQuestion(body=body.ljust(limit_bytes + 1)))
        if isinstance(outcome, Refusal) and outcome.status == _TOO_LARGE:
            findings.judge("a byte longer", say_after(client, model))
        else:
            findings.judge("a byte longer", f"\n{show_exchange(client, endpoint, outcome)}")
    findings.conclude(seatrial_facts)
