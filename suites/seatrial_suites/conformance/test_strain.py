"""Strain: slow clients, too many at once, and those that go in the middle. Asked last, for what they do to a server may stay."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.target import Deployment
from seatrial_suites.conformance import straining
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.crowd import list_right_alone
from seatrial_suites.conformance.reaching import find_host
from seatrial_suites.conformance.straining import (
    ask_beside,
    ask_in_a_crowd,
    leave_in_the_middle,
    list_slow,
    wait_right,
)

pytestmark = pytest.mark.conformance
_BURST_CLIENTS = 64
_CLIENTS_AFTER = 16
_LEAVE_TIMES = 64
_CASES = 16


@check(
    "N04",
    "slow clients starve nobody",
    level="SHOULD",
    profile="standard",
    sentence="While some clients send a question a byte at a time, or only its head, or read no answers, another's are answered.",
    source=f"{PART_E}, N04",
)
def test_slow_clients(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    host = find_host(request, endpoint, "strain", strictly=True)
    findings = Findings()
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        for name, strain in list_slow(endpoint, host, model).items():
            findings.judge(name, ask_beside(strain, client, model))
    findings.conclude(seatrial_facts)


@check(
    "N03",
    "too many at once are answered, or asked to come back, and harm nothing",
    level="SHOULD",
    profile="standard",
    sentence="Of what 64 clients ask at once each is answered right or refused as too much (429, 503 or the wire's own way); "
    "after it questions are answered as before.",
    source=f"{PART_E}, N03; RFC 6585, 4; RFC 9110, 15.6.4",
)
def test_overload(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, "strain", strictly=True)
    cases = list_right_alone(seatrial_deployment, model.cases[:_CASES])
    assert cases, "asked alone, no golden case is answered right"
    crowd = ask_in_a_crowd(endpoint, model, cases, clients=_BURST_CLIENTS, for_s=straining.BURST_S)
    findings = Findings()
    for case, kind in {"wrong answers": "wrong", "other refusals": "failed", "no answers": "nothing"}.items():
        findings.judge(case, crowd.describe(kind))
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        findings.judge("after it", wait_right(client, model))
    findings.conclude(seatrial_facts)
    seatrial_facts.update(clients=_BURST_CLIENTS, right=crowd.counts["right"], overloaded=crowd.counts["overloaded"])


@check(
    "N05",
    "a client that goes in the middle takes no place with it",
    level="SHOULD",
    profile="standard",
    sentence="After many clients went in the middle of a question or before its answer, as many as ever are answered right.",
    source=f"{PART_E}, N05",
)
def test_clients_that_go(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    host = find_host(request, endpoint, "strain", strictly=True)
    unwelcome = leave_in_the_middle(endpoint, host, model, _LEAVE_TIMES)
    assert not unwelcome, unwelcome
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        wrong = wait_right(client, model)
    assert not wrong, f"after clients went, {wrong}"
    cases = list_right_alone(seatrial_deployment, model.cases[:_CASES])
    assert cases, "after clients went, no golden case is answered right"
    crowd = ask_in_a_crowd(endpoint, model, cases, clients=_CLIENTS_AFTER, for_s=0.0)
    seatrial_facts.update(gone=3 * _LEAVE_TIMES, clients=_CLIENTS_AFTER, right=crowd.counts["right"])
    unanswered = crowd.counts.total() - crowd.counts["right"]
    assert not unanswered, (
        f"after clients went, {'; '.join(filter(None, map(crowd.describe, set(crowd.counts) - {'right'})))}"
    )
