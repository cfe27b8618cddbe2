"""Raw HTTP: what breaks the protocol is refused, and nothing hidden in it is carried out. Late, for it may harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.evidence import show_raw, show_received
from seatrial.model import Arrays, ModelDirectory
from seatrial.registry import find_wire
from seatrial.target import Deployment
from seatrial.wire import Answer
from seatrial_suites.conformance import asking
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.attacks import ANSWERED, Attack, Fate, Question, list_framing, list_heads
from seatrial_suites.conformance.raw_http import Reaction, Response, provoke
from seatrial_suites.conformance.reaching import ATTACK, find_host
from seatrial_suites.conformance.refusing import OVER_HTTP, is_right_answer, say_after

pytestmark = pytest.mark.conformance
_MOST_UNHEARD = 3
"""In a row: each of them, and the question after it, is waited for."""
_NOT_IMPLEMENTED, _NO_SUCH_VERSION = 501, 505


@check(
    "B07",
    "what breaks HTTP/1.1 is refused, and nothing in it is carried out",
    level="SHOULD",
    profile="standard",
    sentence="A request that RFC 9112 wants refused has a status of 4xx, 501 or 505, or ends the connection; none has a second "
    "response, to something hidden in it; and the next question, on a new connection, is answered right.",
    source=f"{PART_E}, B07; RFC 9112, 2.2, 3, 3.2, 5, 6.1, 6.3, 7.1, 9.3",
    wires=OVER_HTTP,
)
def test_raw_http(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    host = find_host(request, endpoint, ATTACK)
    findings, unheard = Findings(), 0
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        before = say_after(client, model)
        assert not before, f"before anything was sent: {before}"
        for attack in [*list_framing(), *list_heads()]:
            question = Question.take_apart(_write_question(endpoint, model, 0), urlsplit(endpoint.address).scheme)
            sent = attack.make(question)
            # An answer takes what the model takes; what is refused, or left waiting, is so at once.
            wait_s = asking.ANSWER_TIMEOUT_S if attack.allowed == ANSWERED else None
            try:
                reaction = provoke(endpoint, host, sent, _make_probe(endpoint, model), wait_s=wait_s)
            except OSError as error:
                findings.judge(attack.name, f"no connection any more: {type(error).__name__}: {error}")
                break
            wrong = judge(attack, reaction, endpoint, model)
            evidence = f"\n  sent: {show_raw(endpoint, sent)}\n  came back: {show_received(reaction.received)}"
            found = f"{wrong} ({attack.sentence}){evidence}" if wrong else say_after(client, model)
            findings.judge(attack.name, found)
            unheard = unheard + 1 if found and not reaction.received and not reaction.closed else 0
            if unheard == _MOST_UNHEARD:
                break
        else:
            findings.judge("two questions at once", _judge_pipelined(endpoint, host, model))
    findings.conclude(seatrial_facts)


def judge(attack: Attack, reaction: Reaction, endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return what is wrong with what became of an attack; an empty string for nothing."""
    own = reaction.responses[:-1] if reaction.probed else reaction.responses
    fates = {_tell_fate(each) for each in own} or {"refuse" if reaction.closed else "wait"}
    wrong = ""
    if len(own) > attack.most:
        wrong = f"{len(own)} responses to one request"
    elif fates == {"wait"} and "wait" not in attack.allowed:
        wrong = "it is not refused, nor does the connection end"
    elif not fates <= attack.allowed:
        wrong = f"{' and '.join(str(each.status) for each in own)} is not what may come of it"
    elif own and attack.closes and not reaction.closed:
        wrong = "the connection does not end"
    elif own and not reaction.closed and not reaction.probed:
        wrong = "the next request on the connection has no response"
    elif attack.allowed == {"answer"} and not _is_right(own[0], endpoint, model, 0):
        wrong = "the answer is wrong"
    return wrong


def _tell_fate(response: Response) -> Fate | None:
    if 200 <= response.status < 300:
        return "answer"
    refused = 400 <= response.status < 500 or response.status in {_NOT_IMPLEMENTED, _NO_SUCH_VERSION}
    return "refuse" if refused else None


def _judge_pipelined(endpoint: Endpoint, host: str, model: ModelDirectory) -> str:
    """Two questions in one go have their answers in their order (RFC 9112, 9.3.2); a server may end the connection before."""
    indices = range(min(2, len(model.cases)))
    sent = b"".join(_write_question(endpoint, model, each) for each in indices)
    try:
        reaction = provoke(endpoint, host, sent, _make_probe(endpoint, model), wait_s=asking.ANSWER_TIMEOUT_S)
    except OSError as error:
        return f"no connection any more: {type(error).__name__}: {error}"
    own: Sequence[Response] = reaction.responses[:-1] if reaction.probed else reaction.responses
    if not own or len(own) > len(indices):
        wrong = f"{len(own)} responses to {len(indices)} questions"
    elif not all(_is_right(response, endpoint, model, index) for index, response in enumerate(own)):
        wrong = "an answer is wrong, or another's"
    else:
        return ""
    return f"{wrong}\n  sent: {show_raw(endpoint, sent)}\n  came back: {show_received(reaction.received)}"


def _is_right(response: Response, endpoint: Endpoint, model: ModelDirectory, index: int) -> bool:
    """Whether a response is the right answer; of an exchange in two steps, the answer to the first of them."""
    wire = find_wire(endpoint.wire)
    if wire.framing == "http-events":
        return _tell_fate(response) == "answer"
    exchange = wire.open_exchange(endpoint, model.manifest)
    exchange.start(_inputs(model, index))
    outcome = exchange.receive(response.raw)
    if outcome is None:
        # Its end is the connection's (RFC 9112, 6.3).
        outcome = exchange.receive(b"")
    return isinstance(outcome, Answer) and is_right_answer(model, outcome, index)


def _inputs(model: ModelDirectory, index: int) -> Arrays:
    return model.cases[index].inputs


def _write_question(endpoint: Endpoint, model: ModelDirectory, index: int) -> bytes:
    return find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(_inputs(model, index))


def _make_probe(endpoint: Endpoint, model: ModelDirectory) -> bytes:
    question = Question.take_apart(_write_question(endpoint, model, 0))
    return b"GET /seatrial-probe HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % question.host
