"""Early stopping: when a run has seen enough, and that its intervals hold what they promise although it chose its end itself."""

from __future__ import annotations

import itertools
import math
import runpy
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chance import find_fewest
from seatrial.load.conducting import Conduct, Conductor
from seatrial.load.objectives import Objectives
from seatrial.load.plan import Destination, Plan, Progress
from seatrial.load.quantiles import FOREVER_NS, Times, find_interval
from seatrial.load.samples import SAMPLE, Outcome, Samples
from seatrial.load.stopping import StopRule, StopVerdict, WatchedQuantile, judge_stop, make_stop_rule, plan_looks

ROOT = Path(__file__).parents[3]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "measure_intervals.py"))
SERVERS, PROBABILITIES, measure_stopping, draw_runs = (
    SCRIPT[name] for name in ("SERVERS", "PROBABILITIES", "measure_stopping", "draw_runs")
)
COVERAGE = 0.93


def draw(count: int, seed: int = 1) -> Times:
    return (np.random.default_rng(seed).lognormal(math.log(0.01), 0.5, count) * 1e9).astype(np.int64)


def test_looks_grow_by_half_and_end_at_the_limit() -> None:
    assert plan_looks(30.0) == pytest.approx([2.0, 3.0, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30.0])
    assert plan_looks(1.0) == (1.0,)
    assert len(plan_looks(600.0)) == 15


def test_it_stops_when_the_interval_is_narrow() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5),))

    first, later = (judge_stop(draw(count), rule, look=0, looks=5) for count in (400, 4000))

    assert not first.stop
    assert (later.why, later.stop, later.confidence) == ("narrow", True, 0.95)
    assert later.message.startswith("p50 is ")
    assert later.message.endswith("5% is narrow enough")


@pytest.mark.parametrize(("bound_ms", "side"), [(30.0, "p95 is at most 30 ms"), (15.0, "p95 is above 15 ms")])
def test_it_stops_when_it_is_decided_with_a_confidence_for_all_looks(bound_ms: float, side: str) -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.95, bound_ms=bound_ms),))

    verdict = judge_stop(draw(1000), rule, look=2, looks=10)

    assert (verdict.why, verdict.confidence) == ("decided", pytest.approx(0.999))
    assert verdict.message.startswith(side)
    assert "99.90% confidence" in verdict.message


def test_it_goes_on_to_the_limit_while_one_objective_is_open() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5, bound_ms=50.0), WatchedQuantile(p=0.99, bound_ms=32.0)))

    early, last = (judge_stop(draw(2000), rule, look=look, looks=4) for look in (2, 3))

    assert (early.why, early.stop) == ("", False)
    assert (last.why, last.confidence) == ("limit", 0.95)
    assert last.message.startswith("the time limit was reached: p50 is at most 50 ms")


@pytest.mark.parametrize(
    ("conduct", "offsets_ns", "why"),
    [
        (Conduct(stop=StopRule(quantiles=(WatchedQuantile(p=0.5),))), np.arange(10), "limit"),
        (Conduct(stop=StopRule(quantiles=(WatchedQuantile(p=0.5),))), None, None),
        (Conduct(), np.arange(10), None),
    ],
    ids=["may end early", "closed loop", "may not"],
)
def test_a_window_that_might_have_ended_early_says_that_it_did_not(
    conduct: Conduct, offsets_ns: Times | None, why: str | None
) -> None:
    plan = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=1.0)
    conductor = Conductor(conduct, plan, offsets_ns, 0)

    conductor.conclude()

    assert (conductor.stop.why if conductor.stop else None) == why


def test_of_more_than_may_be_kept_before_the_first_look_nothing_is_kept_and_that_is_said() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5, bound_ms=5.0),))
    offsets_ns = make_schedule(500_000, 6.0)
    plan = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=30.0)
    pacer: Any = SimpleNamespace(end_window=lambda: pytest.fail("it was ended"))
    conductor = Conductor(Conduct(stop=rule), plan, offsets_ns, 0)

    conductor.look(
        pacer, Progress(elapsed_s=8, sent=0, ended=0, failed=0, in_flight=0), [ask(offsets_ns[:1000], 10**6)]
    )
    conductor.conclude()

    assert conductor._seen == []
    assert conductor.stop is not None
    assert conductor.stop.why == "limit"
    assert "too much was due" in conductor.stop.message


def test_too_few_requests_decide_nothing() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.99, bound_ms=1e6),), error_rate=0.5)

    verdict = judge_stop(draw(399), rule, look=0, looks=2)

    assert verdict.why == ""
    assert verdict.message.count("399 requests are too few") == 2


def test_failures_are_slower_than_any_bound() -> None:
    times = draw(4000)
    times[::20] = FOREVER_NS
    rule = StopRule(quantiles=(WatchedQuantile(p=0.99, bound_ms=1000.0),))

    verdict = judge_stop(times, rule, look=0, looks=8)

    assert verdict.why == "decided"
    assert verdict.message.startswith("p99 is above 1000 ms: longer than any answer took")


def test_times_without_an_end_are_not_narrow() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5),))

    assert not judge_stop(np.full(2000, FOREVER_NS), rule, look=0, looks=3).stop


@pytest.mark.parametrize(
    ("failed", "why", "said"), [(0, "decided", "at most"), (200, "decided", "above"), (10, "", "the error rate is 0")]
)
def test_the_error_rate_must_be_known_too(failed: int, why: str, said: str) -> None:
    times = draw(10_000)
    times[np.random.default_rng(3).choice(10_000, failed, replace=False)] = FOREVER_NS

    verdict = judge_stop(times, StopRule(quantiles=(), error_rate=0.002), look=0, looks=8)

    assert verdict.why == why
    assert said in verdict.message


def make_schedule(rate: int, seconds: float = 30.0) -> Times:
    return np.arange(int(rate * seconds)) * (10**9 // rate)


def ask(offsets_ns: Times, took_ns: Times | int) -> Samples:
    """Return the records of all requests, in the order in which they end."""
    samples = np.zeros(len(offsets_ns), SAMPLE)
    samples["intended_ns"] = offsets_ns
    samples["last_ns"] = offsets_ns + took_ns
    return np.sort(samples, order="last_ns")


def conduct(rule: StopRule, offsets_ns: Times, samples: Samples, at_s: Sequence[float]) -> StopVerdict | None:
    """Return the last word on stopping of a run whose records came at these times, those of what had ended by then."""
    plan = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=30.0)
    conductor = Conductor(Conduct(stop=rule), plan, offsets_ns, 0)
    pacer: Any = SimpleNamespace(end_window=lambda: None)
    before_ns = 0
    for each in at_s:
        ended = samples[(samples["last_ns"] > before_ns) & (samples["last_ns"] <= each * 1e9)]
        progress = Progress(elapsed_s=each, sent=0, ended=0, failed=0, in_flight=0)
        conductor.look(pacer, progress, [ended])
        before_ns = int(each * 1e9)
    return conductor.stop


def test_what_remains_open_for_long_is_not_kept_for_ever() -> None:
    """2,000,000 requests whose median is the bound: memory is that of the first ones."""
    rate, seconds = 20_000, 100
    offsets_ns = make_schedule(rate, seconds)
    plan = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=seconds)
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5, bound_ms=5.0),))
    orders: list[str] = []
    pacer: Any = SimpleNamespace(end_window=lambda: orders.append("end"))
    conductor = Conductor(Conduct(stop=rule), plan, offsets_ns, 0)
    took_ns = np.tile([4_000_000, 6_000_000], rate // 2)
    tracemalloc.start()
    for second in range(seconds):
        block = ask(offsets_ns[second * rate : (second + 1) * rate], took_ns)
        progress = Progress(elapsed_s=second + 1, sent=0, ended=0, failed=0, in_flight=0)
        conductor.look(pacer, progress, [block])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    conductor.conclude()

    assert peak_bytes < 80e6
    assert orders == []
    assert conductor.stop is not None
    assert conductor.stop.why == "limit"
    assert "p50" in conductor.stop.message


@pytest.mark.parametrize(
    ("took_s", "refused", "seconds", "why", "said"),
    [
        # All will be answered right.
        (3.0, 0, 4, "", "0.000% to "),
        (3.0, 0, 8, "", "0.000% to "),
        (0.1, 0, 15, "decided", "at most 1.000%"),
        # What is known to have failed decides, whatever becomes of the others.
        (3.0, 5, 8, "decided", "above 1.000%"),
        (0.1, 5, 8, "decided", "above 1.000%"),
    ],
)
def test_a_pending_request_has_neither_failed_nor_been_answered(
    took_s: float, refused: int, seconds: int, why: str, said: str
) -> None:
    offsets = make_schedule(200)
    samples = ask(offsets, int(took_s * 1e9))
    if refused:
        samples["outcome"][::refused] = Outcome.REFUSED

    verdict = conduct(StopRule(quantiles=(), error_rate=0.01), offsets, samples, range(1, seconds))

    assert verdict is not None
    assert verdict.why == why, verdict.message
    assert said in verdict.message


def test_an_interval_is_narrow_when_it_is_whatever_becomes_of_what_is_pending() -> None:
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5),))
    least = draw(4000)
    most = least.copy()
    least[::5], most[::5] = 5_000_000, FOREVER_NS

    each = [judge_stop(times, rule, look=0, looks=5).why for times in (least, most)]
    both = judge_stop(least, rule, look=0, looks=5, most=most)

    assert (each, both.why) == (["narrow", "narrow"], ""), both.message


@pytest.mark.parametrize(("bound_ms", "side"), [(2000.0, "above"), (4000.0, "at most")])
def test_a_pending_request_is_slower_than_a_bound_that_it_has_exceeded(bound_ms: float, side: str) -> None:
    offsets = make_schedule(200)
    rule = StopRule(quantiles=(WatchedQuantile(p=0.5, bound_ms=bound_ms),))

    verdict = conduct(rule, offsets, ask(offsets, 3 * 10**9), range(1, 9))

    assert verdict is not None
    assert verdict.message.startswith(f"p50 is {side} {bound_ms:g} ms")


def test_what_has_ended_since_the_records_were_written_is_not_taken_for_pending() -> None:
    """However late they are read: at 2.4 s nothing is known yet of what was due at 2 s and takes 0.45 s."""
    offsets = make_schedule(1000)
    rule = StopRule(quantiles=(WatchedQuantile(p=0.9, bound_ms=500.0),))

    assert conduct(rule, offsets, ask(offsets, 450_000_000), [2.4]) is None
    verdict = conduct(rule, offsets, ask(offsets, 450_000_000), [2.4, 2.5])
    assert verdict is not None
    assert verdict.message.startswith("p90 is at most 500 ms")


def test_the_rule_follows_from_objectives() -> None:
    rule = make_stop_rule(Objectives(p50_ms=5.0, p99_ms=50.0, error_rate=0.01))

    assert rule.quantiles == (WatchedQuantile(p=0.5, bound_ms=5.0), WatchedQuantile(p=0.99, bound_ms=50.0))
    assert rule.error_rate == 0.01


@pytest.mark.parametrize("name", SERVERS)
def test_intervals_hold_although_the_run_chose_its_end(name: str) -> None:
    """At least 93 % of nominal 95 %, for narrow stops and for decisions near the bound, where chance has most to say."""
    queue = "M/M/1" in name
    runs, samples = (80, 30_000) if queue else (150, 12_000)
    given = held = 0
    # Each with runs of its own, so that those of all may be added up.
    for seed, (p, bound) in enumerate(itertools.product(PROBABILITIES, (None, 1.1))):
        result = measure_stopping(name, p, bound, runs=runs, samples=samples, seed=seed)
        assert result.held >= find_fewest(result.given, COVERAGE), (p, bound, result)
        given, held = given + result.given, held + result.held
    assert given > 5 * runs
    assert held >= find_fewest(given, COVERAGE)


def test_a_decision_is_seldom_wrong() -> None:
    """Where the bound is the true value itself, to decide is to err: 1 % of runs may, and with 95 % at each look more do."""
    runs, p = 150, 0.95
    truth = SERVERS["M/M/1 at 70 %"][1](p)
    looks = plan_looks(60.0)
    rule = StopRule(quantiles=(WatchedQuantile(p=p, bound_ms=truth * 1e3),), narrow=0.0)
    decided = naive = 0
    for times in draw_runs("M/M/1 at 70 %", runs=runs, samples=30_000, seed=4):
        seen = [times[: int(each * 500)] for each in looks]
        verdicts = [judge_stop(each, rule, look=0, looks=len(looks)) for each in seen]
        decided += any(each.why == "decided" for each in verdicts)
        intervals = [find_interval(each, p) for each in seen]
        naive += any(each is not None and not each.low <= truth <= each.high for each in intervals)
    assert runs - decided >= find_fewest(runs, 0.99)
    assert naive > 3 * decided
    assert runs - naive < find_fewest(runs, 0.99)
