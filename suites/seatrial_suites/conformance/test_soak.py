"""A soak: what is asked leaves nothing behind. Asked late, for it takes its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.plugin import find_session
from seatrial.target import Deployment
from seatrial_suites.conformance.soaking import soak

pytestmark = pytest.mark.conformance


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a soak is, and how many bytes per thousand questions its memory may grow: more than noise reaches in it."""

    rounds: int
    questions: int
    warm_up: int
    most_growth_bytes: int


SHORT = Length(rounds=8, questions=75, warm_up=3, most_growth_bytes=8 << 20)
LONG = Length(rounds=20, questions=500, warm_up=4, most_growth_bytes=2 << 20)
SPARE_DESCRIPTORS = 4
"""Of a pool of threads or connections that is still growing."""


@check(
    "F07",
    "questions leave nothing behind",
    level="SHOULD",
    needs={"usage", "descriptors"},
    profile="standard",
    sentence="Over a long row of questions, some refused and some broken off, memory and open file descriptors do not grow.",
    source="seatrial's list of checks, F07; en.wikipedia.org/wiki/Theil-Sen_estimator",
)
def test_soak(request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    """At night ten thousand questions; else so few that only a leak of eight kilobytes a question shows."""
    at_night = find_session(request.config).settings.general.profile == "nightly"
    length = LONG if at_night else SHORT
    found = soak(seatrial_deployment, rounds=length.rounds, questions=length.questions, warm_up=length.warm_up)
    seatrial_facts.update(
        questions=(length.rounds + length.warm_up) * length.questions,
        memory_growth_bytes_per_1000=round(found.growth_bytes),
        memory_bytes=found.samples[-1].memory_bytes,
        descriptors_before=found.descriptors_before,
        descriptors_after=found.descriptors_after,
    )
    findings = Findings()
    grows = found.growth_bytes > length.most_growth_bytes
    findings.judge(
        "memory",
        f"memory grows by {found.growth_bytes / 1e6:.1f} MB per thousand questions, more than "
        f"{length.most_growth_bytes / 1e6:.1f}"
        if grows
        else "",
    )
    more = found.descriptors_after - found.descriptors_before
    findings.judge(
        "descriptors",
        f"{more} more file descriptors are open than after the warm-up ({found.descriptors_before})"
        if more > SPARE_DESCRIPTORS
        else "",
    )
    findings.judge("answers", f"no answer: {found.unanswered[0]}" if found.unanswered else "")
    findings.conclude(seatrial_facts)
