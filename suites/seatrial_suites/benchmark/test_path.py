"""Path: what the way to a target costs by itself."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import check
from seatrial.plugin import find_session
from seatrial_suites.benchmark.decisions import decide_path
from seatrial_suites.benchmark.runs import PART_E, Floor, order_latency

pytestmark = pytest.mark.benchmark


@check(
    "P09",
    "the network path's own cost is known",
    level="MAY",
    needs={"network-floor"},
    profile="standard",
    sentence="The cheapest question takes no less time on the network path than on the host's own network: the difference is "
    "what the path costs.",
    source=f"{PART_E}, P06",
)
def test_network_path(request: pytest.FixtureRequest, seatrial_floor: Floor, seatrial_facts: dict[str, Any]) -> None:
    """It fails where the path is the sooner one beyond doubt: then what it was held against is no floor."""
    rate = order_latency(find_session(request.config).settings).rate
    assert rate is not None
    record = seatrial_floor(rate)
    seatrial_facts.update(
        rate_per_s=record.rate,
        path=record.path.way,
        path_p50_s=record.path.p50_s,
        floor=record.floor.way,
        floor_p50_s=record.floor.p50_s,
        cost_p50_s=record.cost_p50_s,
        cost_low_s=record.cost_low_s,
        cost_high_s=record.cost_high_s,
    )
    decide_path(record, find_session(request.config).calibration)
