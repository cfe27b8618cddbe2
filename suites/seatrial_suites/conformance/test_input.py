"""Bad input: what is no question is refused as one, and harms nothing."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.target import Deployment
from seatrial.wire import Answer, RawQuestion
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask
from seatrial_suites.conformance.broken import list_broken, make_body
from seatrial_suites.conformance.leaking import find_inside
from seatrial_suites.conformance.reaching import MALFORMED, find_host
from seatrial_suites.conformance.refusing import (
    OVER_HTTP,
    Patience,
    ask_raw,
    is_refused,
    is_right_answer,
    say_after,
    show_exchange,
)

pytestmark = pytest.mark.conformance
_EITHER = frozenset({"answer", "refuse"})
_ANSWER, _REFUSE = frozenset({"answer"}), frozenset({"refuse"})
CONTENT_TYPES: dict[str, tuple[str | None, frozenset[str]]] = {
    "no content type": (None, _EITHER),
    "text/plain": ("text/plain", _REFUSE),
    "image/png": ("image/png", _REFUSE),
    # RFC 8259, 11: JSON has no charset parameter, and whoever reads JSON may leave one unread.
    "application/json in UTF-16": ("application/json; charset=utf-16", _EITHER),
    "no media type at all": ("json", _REFUSE),
    "Application/JSON": ("Application/JSON", _ANSWER),
    "application/json in utf-8": ("application/json; charset=utf-8", _ANSWER),
}


@check(
    "B01",
    "what is no JSON is refused",
    profile="standard",
    sentence="A body that is empty, cut off or no JSON is refused as the asker's mistake (a 4xx status, or the wire's own way), "
    "and the next question is answered right.",
    source=f"{PART_E}, B01; RFC 9110, 15.5",
)
def test_broken_json(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    with Client(endpoint, model.manifest) as client:
        right = ask(client, model.cases[0].inputs)
        assert not isinstance(right, NoAnswer), f"before anything broken was sent: {right.message}"
        for name, body in list_broken(endpoint, model).items():
            outcome = ask_raw(client, RawQuestion(body=body))
            patience.take(outcome)
            if not is_refused(outcome, endpoint):
                findings.judge(name, f"\n{show_exchange(client, endpoint, outcome)}")
            else:
                findings.judge(name, say_after(client, model))
            if patience.is_over:
                break
    findings.conclude(seatrial_facts)


@check(
    "B04",
    "content types are read as HTTP defines them",
    profile="standard",
    sentence="A content type that is not the wire's is refused with a 4xx status, a missing one with that or a right answer, "
    "and one that differs in case or names the charset UTF-8 is answered as any other.",
    source=f"{PART_E}, B04; RFC 9110, 8.3 and 15.5.16",
    wires=OVER_HTTP,
)
def test_content_types(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    with Client(endpoint, model.manifest) as client:
        body = make_body(endpoint, model)
        for name, (content_type, allowed) in CONTENT_TYPES.items():
            outcome = ask_raw(client, RawQuestion(body=body, content_type=content_type))
            is_right = isinstance(outcome, Answer) and is_right_answer(model, outcome)
            holds = (is_right and "answer" in allowed) or (is_refused(outcome, endpoint) and "refuse" in allowed)
            findings.judge(name, "" if holds else f"\n{show_exchange(client, endpoint, outcome)}")
            patience.take(outcome)
            if patience.is_over:
                break
    findings.conclude(seatrial_facts)


@check(
    "B08",
    "errors show nothing of the inside",
    level="SHOULD",
    profile="standard",
    sentence="What is said about a refused question holds no stack trace, no path of the server's machine and no source line.",
    source=f"{PART_E}, B08; OWASP Top 10, A05:2021",
)
def test_errors_keep_the_inside_in(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    with Client(endpoint, model.manifest) as client:
        for name, body in list_broken(endpoint, model).items():
            outcome = ask_raw(client, RawQuestion(body=body))
            found = find_inside(client.received)
            what = f"shows {found}:\n{show_exchange(client, endpoint, outcome)}" if found else ""
            findings.judge(name, what)
            patience.take(outcome)
            if patience.is_over:
                findings.judge("the rest", "not asked, for question after question had no answer in time")
                break
    findings.conclude(seatrial_facts)
