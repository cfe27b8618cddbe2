"""Several clients at a time, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.client import DEFAULT_TIMEOUT_S, Client
from seatrial.comparison import compare
from seatrial.model import Case
from seatrial.target import Deployment
from seatrial.wire import Answer
from seatrial_suites.conformance.asking import NoAnswer, ask
from seatrial_suites.conformance.together import ask_at_once

_MOST_SHOWN = 5
_MAX_TIMEOUTS = 3
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question of one client.

    Args:
        case: whose question it was.
        right: it got the answer of its case.
        message: what it got instead.
        whose: the case whose answer it got instead; empty when it is nobody's.
        timed_out: it got none in time.
    """

    case: str
    right: bool
    message: str = ""
    whose: str = ""
    timed_out: bool = False


def list_right_alone(deployment: Deployment, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases that are answered right when nothing else is asked; after some time-outs in a row no more are asked."""
    right: list[Case] = []
    timeouts = 0
    with Client(deployment.endpoint, deployment.model.manifest) as client:
        for case in cases:
            outcome = ask(client, case.inputs)
            timed_out = isinstance(outcome, NoAnswer) and outcome.timed_out
            timeouts = timeouts + 1 if timed_out else 0
            if timeouts == _MAX_TIMEOUTS:
                break
            if not isinstance(outcome, NoAnswer) and _is_own(case, outcome, deployment):
                right.append(case)
    return tuple(right)


def ask_together(deployment: Deployment, cases: Sequence[Case], *, clients: int, rounds: int) -> list[Asked]:
    """Have `clients` begin at once and ask `rounds` questions each, one after another, as far apart in the cases as may be.

    Who gets no answer in time asks no more. Cases must be as many as clients at least, and differ in their answers.
    """

    def ask_all(number: int, gate: threading.Barrier) -> list[Asked]:
        with Client(deployment.endpoint, deployment.model.manifest) as client:
            gate.wait(_START_TIMEOUT_S)
            asked: list[Asked] = []
            for turn in range(rounds):
                asked.append(_ask_one(client, deployment, cases, (number * len(cases) // clients + turn) % len(cases)))
                if asked[-1].timed_out:
                    break
            return asked

    return [each for asked in ask_at_once(clients, ask_all) for each in asked]


def describe_crowd(asked: Sequence[Asked]) -> str:
    """Return how many were not answered right, how many of those with another's answer, and the first of them."""
    wrong = [each for each in asked if not each.right]
    crossed = sum(bool(each.whose) for each in wrong)
    head = f"{len(wrong)} of {len(asked)} questions at the same time are not answered right, {crossed} with another's answer:"
    lines = [
        f"{each.case}: {each.message}" + (f"; it is the answer of {each.whose}" if each.whose else "")
        for each in wrong[:_MOST_SHOWN]
    ]
    return "\n".join([head, *lines])


def _ask_one(client: Client, deployment: Deployment, cases: Sequence[Case], index: int) -> Asked:
    case, manifest = cases[index], deployment.model.manifest
    # As long as a question may take: several at a time take longer, and who waits too long asks no more.
    outcome = ask(client, case.inputs, timeout_s=DEFAULT_TIMEOUT_S)
    if isinstance(outcome, NoAnswer):
        return Asked(case=case.name, right=False, message=outcome.message, timed_out=outcome.timed_out)
    if _is_own(case, outcome, deployment):
        return Asked(case=case.name, right=True)
    found = compare(case.outputs, outcome.outputs, manifest)
    others = (other.name for other in cases if compare(other.outputs, outcome.outputs, manifest).right)
    return Asked(case=case.name, right=False, message=found.message, whose=next(others, ""))


def _is_own(case: Case, answer: Answer, deployment: Deployment) -> bool:
    return compare(case.outputs, answer.outputs, deployment.model.manifest).right
