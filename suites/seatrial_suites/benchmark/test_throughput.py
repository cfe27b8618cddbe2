"""Throughput: the highest rate that a target takes. Asked last of all load, for it overloads on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import check
from seatrial.plugin import find_session
from seatrial_suites.benchmark.decisions import decide_capacity
from seatrial_suites.benchmark.runs import PART_E, Search, order_capacity

pytestmark = pytest.mark.benchmark


@check(
    "P08",
    "the highest rate that keeps the objectives",
    profile="nightly",
    sentence="The highest rate at which the objectives are kept is reported as a bracket: the highest that was kept and the "
    "lowest that was missed.",
    source=f"{PART_E}, P02 (max throughput under SLO, with error rate < 0.1 %)",
)
def test_capacity(request: pytest.FixtureRequest, seatrial_capacity: Search, seatrial_facts: dict[str, Any]) -> None:
    """It fails when no rate is kept. Objectives of your own in the settings take the place of the default ones."""
    record = seatrial_capacity(order_capacity(find_session(request.config).settings))
    found = record.capacity
    seatrial_facts.update(
        objectives=found.objectives,
        highest_kept_per_s=found.highest_kept,
        lowest_missed_per_s=found.lowest_missed,
        ended=found.ended,
        runs=len(found.rungs),
        took_s=record.took_s,
    )
    decide_capacity(record)
