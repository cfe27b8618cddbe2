"""Names: one that is taken is not given twice, and what is deleted is gone and leaves its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.naming import HasNames, Named, Said
from seatrial.target import Deployment
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.naming import (
    OTHERS,
    RULES,
    say_done,
    say_of_use,
    say_refused,
    say_there,
    say_wrong,
    show,
)

pytestmark = pytest.mark.conformance


@check(
    "L05",
    "names: taken, in use, gone",
    needs={"names"},
    profile="standard",
    sentence="What is asked for under a name that is taken is refused, and what has the name answers on; what is in use is not "
    "deleted, or what uses it answers on, as the API documents it; what was deleted does not answer and cannot be deleted again, "
    "and its name can be taken again. A refusal is the one that the API documents.",
    source=f"{PART_E}, L05; SageMaker API Reference, CreateEndpoint, DeleteEndpointConfig, InvokeEndpoint; Kubernetes API "
    "Conventions, HTTP Status codes; Docker Engine API, ContainerCreate, ContainerDelete",
)
def test_names(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    """All is tried with things beside the deployment, which answers as before when they are gone."""
    assert isinstance(seatrial_deployment, HasNames), "it claims names, and has nothing to try them with"
    findings, model = Findings(), seatrial_deployment.model
    with seatrial_deployment.open_named() as named:
        try_names(named, model, findings, seatrial_facts)
    findings.judge("the deployment, afterwards", say_wrong(seatrial_deployment.endpoint, model))
    findings.conclude(seatrial_facts)


def try_names(named: Named, model: ModelDirectory, findings: Findings, facts: dict[str, Any]) -> None:
    """Make, delete and ask, and judge what was said each time; where nothing can be asked, by what was said alone."""
    rules = RULES.get(named.api, OTHERS)
    heard: dict[str, str] = {}
    facts.update(api=named.api, said=heard)

    def judge(what: str, said: Mapping[str, Said], say: Callable[[Said], str]) -> None:
        for kind, each in said.items():
            heard[f"{kind}: {what}"] = show(each, whole=False)
            findings.judge(f"{kind}: {what}", say(each))

    def ask(when: str, say: Callable[[Endpoint, ModelDirectory], str]) -> None:
        if named.endpoint is not None:
            findings.judge(f"asked {when}", say(named.endpoint, model))

    def say_absent(each: Said) -> str:
        return say_refused(each, rules.absent)

    ask("before it is there", say_there)
    judge("made", named.create(), say_done)
    ask("when it is there", say_wrong)
    judge("made under a name that is taken", named.create(), lambda each: say_refused(each, rules.taken))
    ask("when its name was wanted", say_wrong)
    used = named.delete_used()
    judge("deleted in use", used, lambda each: say_of_use(each, rules))
    ask("when it was to be deleted in use", say_wrong)
    gone = {kind for kind, each in used.items() if each.is_done}
    said = named.delete()
    judge("deleted", {kind: each for kind, each in said.items() if kind not in gone}, say_done)
    judge("deleted, and was in use", {kind: each for kind, each in said.items() if kind in gone}, say_absent)
    ask("after it was deleted", say_there)
    judge("deleted again", named.delete(), say_absent)
    judge("made again", named.create(), say_done)
    ask("when it was made again", say_wrong)
