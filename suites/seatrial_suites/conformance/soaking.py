"""A long row of questions, refused and broken-off ones among them, and what is left of it in memory and descriptors."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from seatrial.client import Client, connect
from seatrial.looking import CountsDescriptors
from seatrial.registry import find_wire
from seatrial.target import Deployment
from seatrial.wire import RawQuestion
from seatrial_suites.conformance.asking import NoAnswer, ask
from seatrial_suites.conformance.refusing import ask_raw

REFUSED_EVERY = 10
BROKEN_OFF_EVERY = 25
DESCRIPTORS_WAIT_S = 10.0
"""A server takes a moment to see that a client is gone."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """After so many questions."""

    questions: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak found; descriptors after the warm-up and at the end, with the same connections of ours open."""

    samples: tuple[Sample, ...]
    descriptors_before: int
    descriptors_after: int
    unanswered: tuple[str, ...]

    @property
    def growth_bytes(self) -> float:
        """Bytes per thousand questions: the median slope between two samples (Theil and Sen), which outliers do not move."""
        return statistics.median(
            (later.memory_bytes - sooner.memory_bytes) / (later.questions - sooner.questions) * 1000
            for sooner, later in combinations(self.samples, 2)
        )


def soak(deployment: Deployment, *, rounds: int, questions: int, warm_up: int) -> Soaked:
    """Ask rounds of questions and measure after each, but for those of the warm-up.

    Raises:
        AssertionError: its memory is not known.
    """
    samples: list[Sample] = []
    unanswered: list[str] = []
    descriptors = cast("CountsDescriptors", deployment).count_descriptors
    before = 0
    with Client(deployment.endpoint, deployment.model.manifest) as client:
        for number in range(warm_up + rounds):
            unanswered += _ask_round(deployment, client, questions)
            if number == warm_up - 1:
                before = descriptors()
            elif number >= warm_up:
                memory_bytes = deployment.measure_usage().memory_bytes
                assert memory_bytes is not None, "its memory is not known, though it claims usage"
                samples.append(Sample(questions=(number + 1) * questions, memory_bytes=memory_bytes))
        after = _wait_for(descriptors, before)
    return Soaked(
        samples=tuple(samples), descriptors_before=before, descriptors_after=after, unanswered=tuple(unanswered)
    )


def _ask_round(deployment: Deployment, client: Client, questions: int) -> list[str]:
    cases = deployment.model.cases
    unanswered = []
    for number in range(questions):
        if number % BROKEN_OFF_EVERY == BROKEN_OFF_EVERY - 1:
            _break_off(deployment)
        elif number % REFUSED_EVERY == REFUSED_EVERY - 1:
            ask_raw(client, RawQuestion(body=b"question"))
        else:
            outcome = ask(client, cases[number % len(cases)].inputs)
            unanswered += [outcome.message] if isinstance(outcome, NoAnswer) else []
    return unanswered


def _break_off(deployment: Deployment) -> None:
    """Send half a question and go."""
    endpoint, model = deployment.endpoint, deployment.model
    question = find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(model.cases[0].inputs)
    with contextlib.suppress(OSError), connect(endpoint, DESCRIPTORS_WAIT_S) as connection:
        connection.sendall(question[: len(question) // 2])


def _wait_for(descriptors: Callable[[], int], wanted: int) -> int:
    """Return how many are open, when they are as few as before, or after some seconds."""
    deadline_s = time.monotonic() + DESCRIPTORS_WAIT_S
    while (count := descriptors()) > wanted and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return count
