"""Confinement: a deployment keeps to itself, and may do no more than it must."""

from __future__ import annotations

from typing import Any, cast

import pytest

from seatrial.checks import Findings, check
from seatrial.looking import ShowsConnections, ShowsListeners, ShowsPrivileges
from seatrial.target import Deployment
from seatrial_suites.conformance.asking import PART_E, ask_cases
from seatrial_suites.conformance.outward import Watch
from seatrial_suites.conformance.ports import describe_listener, judge_listeners

pytestmark = pytest.mark.conformance


@check(
    "X01",
    "listens only where asked",
    needs={"listeners"},
    profile="standard",
    sentence="On this machine it listens on loopback addresses alone, at its endpoint's port and those that it declares; in a "
    "container or pod it may listen on all addresses, at the ports that are declared for it and no others.",
    source=f"{PART_E}, X01; CWE-1327, binding to an unrestricted IP address",
)
def test_listeners(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    """Look after questions were answered, for a port may be opened by the first.

    Sockets of TCP count, of the process and all its descendants or of the whole container, and what the engine publishes. Unix
    sockets and UDP do not: the first are files, and the second cannot be told from a client's.
    """
    deployment = cast("ShowsListeners", seatrial_deployment)
    ask_cases(seatrial_deployment, seatrial_deployment.model, {})
    listeners, declared = deployment.list_listeners(), deployment.declare_ports()
    seatrial_facts["listeners"] = sorted(describe_listener(each) for each in listeners)
    findings = Findings()
    for case, message in judge_listeners(listeners, declared).items():
        findings.judge(case, message)
    findings.conclude(seatrial_facts)


@check(
    "X04",
    "it runs without privileges",
    level="SHOULD",
    needs={"privileges"},
    profile="standard",
    sentence="Its first process is not root's, has no capability in effect, and nothing it executes can gain one.",
    source=f"{PART_E}, X04; kubernetes.io, Pod Security Standards, Restricted",
)
def test_privileges(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    found = cast("ShowsPrivileges", seatrial_deployment).read_privileges()
    seatrial_facts.update(
        uid=found.uid,
        capabilities=f"{found.capabilities:x}",
        no_new_privileges=found.no_new_privileges,
        seccomp=found.seccomp,
    )
    assert found.uid != 0, "its first process is root's"
    assert found.capabilities == 0, f"its first process has the capabilities {found.capabilities:x} (CapEff)"
    assert found.no_new_privileges, "what it executes can gain privileges: NoNewPrivs is 0"


@check(
    "X05",
    "it calls nobody",
    level="SHOULD",
    needs={"connections"},
    profile="standard",
    sentence="While it is asked, a deployment has no connection to another machine that it opened itself.",
    source=f"{PART_E}, X05",
)
def test_no_calls(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    with Watch(cast("ShowsConnections", seatrial_deployment)) as watch:
        ask_cases(seatrial_deployment, seatrial_deployment.model, {})
    seatrial_facts.update(looks=watch.looks, outside=sorted(watch.outside))
    shown = ", ".join(f"{peer} ({state})" for peer, state in watch.outside.items())
    assert not watch.outside, f"it connected to {shown}"
