"""Orders of a search, and what network paths cost: what follows from figures alone."""

from __future__ import annotations

import numpy as np
import pytest

from chance import find_fewest
from seatrial.load.objectives import Objectives
from seatrial.load.schedules import make_schedule, parse_arrivals
from seatrial.records import FloorLegRecord, FloorRecord
from seatrial.trial.flooring import CONFIDENCE, compare_legs, find_median_interval
from seatrial.trial.searching import WARM_UP_S, CapacityOrder


def test_a_rate_has_the_same_schedule_whoever_is_asked_and_another_one_when_it_is_confirmed() -> None:
    first, again, second = (CapacityOrder().order_run(80.0, repeat) for repeat in (0, 0, 1))

    def draw(order):  # type: ignore[no-untyped-def]
        law = parse_arrivals(order.arrivals, order.rate, order.duration_s)
        return make_schedule(law, duration_s=order.duration_s, seed=order.seed).offsets_ns

    assert first == again
    assert np.array_equal(draw(first), draw(again))
    assert not np.array_equal(draw(first)[:50], draw(second)[:50])


def test_a_run_waits_until_the_server_is_warm_where_it_is_told_to() -> None:
    first, later = CapacityOrder().order_run(80.0, 0, warm_up_s=None), CapacityOrder().order_run(80.0, 0)

    assert (first.warm_up_s, later.warm_up_s) == (None, WARM_UP_S)


@pytest.mark.parametrize(
    ("objectives", "rate", "window_s"),
    [
        (Objectives(p99_ms=250.0), 1000.0, 4.0),
        (Objectives(p99_ms=250.0), 15.0, 10.0),
        (Objectives(p50_ms=20.0, error_rate=0.01), 2.0, 15.0),
    ],
)
def test_a_run_is_as_long_as_its_highest_quantile_needs(objectives: Objectives, rate: float, window_s: float) -> None:
    order = CapacityOrder(objectives=objectives)

    assert order.order_run(rate, 0).duration_s == window_s
    assert order.order_run(order.lowest_rate, 0).duration_s <= order.longest_s / 4


@pytest.mark.parametrize(("window_s", "highest"), [(4.0, 1e6), (70.0, 50e6 / 70)])
def test_no_rate_is_searched_of_which_a_run_may_not_be_made(window_s: float, highest: float) -> None:
    order = CapacityOrder(window_s=window_s)
    last = order.order_run(order.highest_rate, 0)

    assert order.highest_rate == pytest.approx(highest)
    assert parse_arrivals(last.arrivals, last.rate, last.duration_s)


def test_what_has_missed_its_bound_by_far_is_not_waited_for() -> None:
    slow = CapacityOrder(objectives=Objectives(p99_ms=5000.0)).order_run(100.0, 0)

    assert (slow.timeout_s, slow.drain_s) == (10.0, 10.0)
    assert CapacityOrder(objectives=Objectives(error_rate=0.1)).order_run(100.0, 0).timeout_s == 2.0


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        interval = find_median_interval((rng.exponential(1e6, 50)).astype(np.int64))
        assert interval is not None
        held += interval[0] <= 1e6 * np.log(2) <= interval[1]

    assert held >= find_fewest(2000, CONFIDENCE)
    assert find_median_interval(np.arange(5)) is None


def make_leg(p50_s: float | None, half_s: float | None = None) -> FloorLegRecord:
    known = p50_s is not None and half_s is not None
    return FloorLegRecord(
        way="a way",
        valid=p50_s is not None,
        requests=50,
        p50_s=p50_s,
        p50_low_s=p50_s - half_s if known else None,
        p50_high_s=p50_s + half_s if known else None,
    )


def compare(path: FloorLegRecord, floor: FloorLegRecord) -> FloorRecord:
    return compare_legs(path, floor, target="docker", network_path="published-port", question="GET /", rate=20.0)


def test_a_path_costs_what_its_median_is_above_the_floors_as_surely_as_both_are_known() -> None:
    cost = compare(make_leg(0.0009, 0.0001), make_leg(0.0007, 0.0002))

    assert cost.cost_p50_s == pytest.approx(0.0002)
    assert (cost.cost_low_s, cost.cost_high_s) == (pytest.approx(-0.0001), pytest.approx(0.0005))
    assert compare(make_leg(0.0009), make_leg(0.0007, 0.0002)).cost_low_s is None
    assert compare(make_leg(None), make_leg(0.0007, 0.0002)).cost_p50_s is None
