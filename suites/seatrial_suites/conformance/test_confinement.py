"""Confinement: a deployment keeps to itself, and may do no more than it must."""

from __future__ import annotations

from typing import Any, cast

import pytest

from seatrial.checks import check
from seatrial.target import Deployment, ShowsConnections, ShowsPrivileges
from seatrial_suites.conformance.asking import PART_E, ask_cases
from seatrial_suites.conformance.outward import Watch

pytestmark = pytest.mark.conformance


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
