"""Load: how long answers take at a rate that is the same for every target, and whether they are right meanwhile."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seatrial.checks import InvalidMeasurementError, check
from seatrial.plugin import find_session
from seatrial_suites.benchmark.decisions import decide_answers, decide_repeated, read_median, require_new
from seatrial_suites.benchmark.runs import PART_E, Load, describe_answers, require_valid, run_latency, run_three

pytestmark = pytest.mark.benchmark


@check(
    "P01",
    "response times at a fixed rate",
    profile="standard",
    sentence="Response times at a fixed rate are reported, from the intended send on, where a request that failed counts as "
    "infinitely slow.",
    source=f"{PART_E}, P01",
)
def test_response_times(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_load: Load, seatrial_facts: dict[str, Any]
) -> None:
    """It fails when the server cannot keep up, or half of all requests fail: then there is no latency to speak of."""
    record = require_valid(run_latency(request, seatrial_target, seatrial_load))
    result = record.result
    times = result.response_time_s
    seatrial_facts.update(
        rate_per_s=result.rate.scheduled,
        requests=result.requests,
        p50_s=times.p50,
        p95_s=times.p95,
        p99_s=times.p99,
        max_s=times.max,
        errors=result.errors,
        censored=result.censored,
        stationary=result.stationary,
        warm_up=result.warm_up,
        ended=result.ended,
        throttled_periods=record.usage.get("throttled_periods"),
    )
    assert not result.saturated, f"{result.reasons[0].message} ({result.arrivals})"
    assert times.p50 is not None, f"p50 lies among the requests that failed: {describe_answers(result)}"


@check(
    "P02",
    "objectives are kept",
    profile="standard",
    sentence="At the rate of the objectives their bounds are kept, where a request that failed counts as infinitely slow.",
    source=f"{PART_E}, P02",
)
@pytest.mark.seatrial_objectives
def test_objectives(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_load: Load, seatrial_facts: dict[str, Any]
) -> None:
    """Asked where the settings have objectives."""
    judgement = require_valid(run_latency(request, seatrial_target, seatrial_load)).result.judgement
    assert judgement is not None
    for verdict in judgement.verdicts:
        seatrial_facts[verdict.name] = verdict.found
    if judgement.status == "undecided":
        raise InvalidMeasurementError(judgement.message, fix="a longer duration_s in the objectives, or a higher rate")
    assert judgement.status == "met", judgement.message


@check(
    "P04",
    "answers under load are right",
    profile="standard",
    sentence="Under load every request gets a whole answer, the model's own, to the question that it asked.",
    source=f"{PART_E}, P04",
)
def test_answers_under_load(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_load: Load, seatrial_facts: dict[str, Any]
) -> None:
    """Questions vary and differ pairwise in their answers, so that another's answer, or an old one, is a wrong one.

    With more requests in flight than there are such questions it is not told of all whose answer was whose, and it does not pass.
    """
    record = run_latency(request, seatrial_target, seatrial_load)
    result = record.result
    seatrial_facts.update(
        requests=result.requests,
        wrong=result.wrong,
        mixed_up=result.mixed_up,
        cases=record.cases,
        doubled=result.client.get("doubled"),
    )
    decide_answers(record)


@check(
    "P07",
    "a repeated question is answered no faster",
    level="MAY",
    profile="nightly",
    sentence="One question asked again and again takes as long as questions that were never asked before: answers are computed, "
    "not remembered.",
    source=f"{PART_E}, P04; MLPerf Inference, TEST04: at most 10 % faster",
)
def test_repeated_question(request: pytest.FixtureRequest, seatrial_load: Load, seatrial_facts: dict[str, Any]) -> None:
    """A server may well remember; figures of it are then those of its memory, which whoever compares should know.

    New questions are asked before and after, for the machine may have become faster meanwhile. They are batches of the same
    golden cases in other orders; of a model that takes none, or cannot keep up with them, the golden cases in turn, which tell
    only who remembers few.
    """
    records = run_three(request, seatrial_load, is_fresh=True)
    if records[0].result.saturated:
        records = run_three(request, seatrial_load, is_fresh=False)
    before, repeated, after = (read_median(record.result) for record in records)
    seatrial_facts.update(
        p50_s=before.p50_s,
        repeated_p50_s=repeated.p50_s,
        p50_again_s=after.p50_s,
        questions=records[0].cases,
        requests=records[0].result.requests,
    )
    decide_repeated(before, repeated, after, find_session(request.config).calibration)
    varied = records[0].result
    asked = varied.requests + math.ceil(varied.warm_up_s * (varied.rate.scheduled or 0.0))
    require_new(records[0].cases, asked)
