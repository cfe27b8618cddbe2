"""The search for the highest rate that keeps objectives, on simulated servers whose capacity is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from seatrial.errors import UsageError
from seatrial.load.capacity import Capacity, Measured, search_capacity
from seatrial.load.repeating import repeat_while_invalid
from seatrial.load.result import Judgement

KEPT = Measured(judgement=Judgement(status="met", message="p99 is fine"))
MISSED = Measured(judgement=Judgement(status="missed", message="p99 is 61 ms, at most 50 ms was asked"))
INVALID = Measured(
    judgement=Judgement(status="undecided", valid=False, message="the measurement is invalid (late-sends)")
)
UNDECIDED = Measured(
    judgement=Judgement(status="undecided", message="p99 of all 10 requests cannot be told, at least 100 are needed")
)
SERVICE_S = 0.001
BOUND_S = 0.005


def has_capacity(rate: float) -> Callable[[float], Measured]:
    return lambda tried: KEPT if tried <= rate else MISSED


def follow(script: dict[float, list[Measured]], otherwise: Callable[[float], Measured]) -> Callable[[float], Measured]:
    """Answer at some rates from a list, one after another, and otherwise by a law."""
    left: dict[float, Iterator[Measured]] = {rate: iter(answers) for rate, answers in script.items()}
    return lambda rate: next(left.get(rate, iter(())), None) or otherwise(rate)


def list_rungs(capacity: Capacity) -> list[tuple[float, str]]:
    return [(each.rate, each.status) for each in capacity.rungs]


@pytest.mark.parametrize("rate", [1.0, 3.7, 99.9, 100.0, 812.0, 54_321.0, 999_999.0])
@pytest.mark.parametrize("first", [1.0, 100.0, 20_000.0])
def test_it_finds_the_capacity_within_its_resolution(rate: float, first: float) -> None:
    capacity = search_capacity(has_capacity(rate), first_rate=first)

    assert capacity.ended == "found"
    assert capacity.highest_kept is not None
    assert capacity.lowest_missed is not None
    assert capacity.highest_kept <= rate < capacity.lowest_missed <= 1.05 * capacity.highest_kept
    # Doublings or halvings, four or five bisections of a factor of two, and both ends once more.
    assert len(capacity.rungs) <= abs(math.log2(rate / first)) + 2 + 5 + 2
    ends = (capacity.highest_kept, capacity.lowest_missed)
    assert [each.rate for each in capacity.rungs if each.confirms] == list(ends)


def test_it_doubles_then_bisects_then_confirms_and_records_all_in_order() -> None:
    capacity = search_capacity(has_capacity(300.0), first_rate=100.0, resolution=0.2, objectives="p99 <= 50 ms")

    assert list_rungs(capacity) == [
        (100.0, "kept"),
        (200.0, "kept"),
        (400.0, "missed"),
        (282.843, "kept"),
        (336.359, "missed"),
        (282.843, "kept"),
        (336.359, "missed"),
    ]
    assert (capacity.objectives, capacity.resolution) == ("p99 <= 50 ms", 0.2)
    assert capacity.message == (
        "kept up to 282.843/s, missed from there. At 336.359/s: p99 is 61 ms, at most 50 ms was asked"
    )
    assert msgspec.json.decode(msgspec.json.encode(capacity), type=Capacity) == capacity


def simulate(rate: float, rng: np.random.Generator, seconds: float = 20.0) -> Measured:
    """One run against one server with a queue and constant service (M/D/1), judged by its p99."""
    count = max(int(rng.poisson(rate * seconds)), 1000)
    gaps = rng.exponential(1 / rate, count)
    walk = np.cumsum(SERVICE_S - gaps)
    times_s = walk - np.minimum.accumulate(walk) + SERVICE_S
    return KEPT if np.quantile(times_s, 0.99) <= BOUND_S else MISSED


def find_waiting_share(load: float) -> float:
    """Share of requests that wait longer than the bound leaves them, in an M/D/1 queue: its tail is exponential, with the root
    of load (e^x - 1) = x (Tijms, A First Course in Stochastic Models, 9.2.3).
    """
    low, high = 1e-9, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if load * math.expm1(middle) < middle else (low, middle)
    return (1 - load) / (load * math.exp(low) - 1) * math.exp(-low * (BOUND_S - SERVICE_S) / SERVICE_S)


def find_true_capacity() -> float:
    """The rate at which one request in a hundred takes longer than the bound, by bisection."""
    low, high = 0.1, 0.99
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if find_waiting_share(middle) < 0.01 else (low, middle)
    return low / SERVICE_S


def test_on_a_noisy_queue_it_finds_the_truth_in_every_seed() -> None:
    """Some 11,000 requests a rung: rates within some 3 % of the capacity are kept or missed by chance."""
    truth = find_true_capacity()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        capacity = search_capacity(lambda rate, rng=rng: simulate(rate, rng), first_rate=10.0)  # type: ignore[misc]
        assert capacity.ended == "found", seed
        assert capacity.highest_kept is not None
        assert capacity.lowest_missed is not None
        assert capacity.highest_kept / 1.05 <= truth <= capacity.lowest_missed * 1.05, seed
        assert capacity.lowest_missed <= 1.05 * capacity.highest_kept
        for end in (capacity.highest_kept, capacity.lowest_missed):
            assert 2 <= sum(each.rate == end for each in capacity.rungs) <= 3


def test_one_bad_moment_does_not_end_the_doubling() -> None:
    """Missed once at 20/s, kept when it is confirmed and again: the search goes on from there."""
    capacity = search_capacity(follow({20.0: [MISSED]}, has_capacity(300.0)), first_rate=10.0)

    assert capacity.ended == "found"
    assert capacity.highest_kept is not None
    assert 300 / 1.05 <= capacity.highest_kept <= 300
    assert [status for rate, status in list_rungs(capacity) if rate == 20.0] == ["missed", "kept", "kept"]


def test_one_lucky_moment_is_not_believed() -> None:
    capacity = search_capacity(follow({400.0: [KEPT]}, has_capacity(300.0)), first_rate=100.0)

    assert capacity.highest_kept is not None
    assert capacity.highest_kept <= 300 < (capacity.lowest_missed or 0)
    assert [status for rate, status in list_rungs(capacity) if rate == 400.0] == ["kept", "missed", "missed"]


def test_never_kept_ends_at_the_lowest_rate_and_confirms_it() -> None:
    capacity = search_capacity(has_capacity(0.0), first_rate=10.0, lowest_rate=2.0)

    assert list_rungs(capacity) == [(rate, "missed") for rate in (10.0, 5.0, 2.5, 2.0, 2.0)]
    assert (capacity.ended, capacity.highest_kept, capacity.lowest_missed) == ("never-kept", None, 2.0)
    assert capacity.message.startswith("kept at no rate, missed from there. At 2/s: p99 is 61 ms")


def test_never_missed_ends_at_the_highest_rate_and_confirms_it() -> None:
    capacity = search_capacity(has_capacity(1e9), first_rate=300.0, highest_rate=1000.0)

    assert list_rungs(capacity) == [(rate, "kept") for rate in (300.0, 600.0, 1000.0, 1000.0)]
    assert (capacity.ended, capacity.highest_kept, capacity.lowest_missed) == ("never-missed", 1000.0, None)
    assert capacity.message == "kept up to 1000/s, the highest rate that was allowed"


def test_where_the_client_is_the_limit_it_says_so() -> None:
    capacity = search_capacity(lambda rate: KEPT if rate <= 500 else INVALID, first_rate=100.0)

    assert capacity.ended == "client-limit"
    assert capacity.highest_kept is not None
    assert 500 / 1.05 <= capacity.highest_kept <= 500
    assert capacity.lowest_missed is None
    assert "invalid above: the client is the limit" in capacity.message
    at_800 = [each for each in capacity.rungs if each.rate == 800.0]
    assert [(each.status, each.repeat) for each in at_800] == [("invalid", 0), ("invalid", 1), ("invalid", 2)]


def test_an_invalid_run_is_tried_again_and_recorded() -> None:
    capacity = search_capacity(follow({200.0: [INVALID, INVALID]}, has_capacity(300.0)), first_rate=100.0)

    assert capacity.ended == "found"
    at_200 = [(each.status, each.repeat) for each in capacity.rungs if each.rate == 200.0]
    assert at_200 == [("invalid", 0), ("invalid", 1), ("kept", 2)]


def test_a_machine_that_was_busy_for_a_while_is_no_limit() -> None:
    """Nothing could be measured at 100/s and at 70/s; when 59/s are the limit they are measured once more, and so on."""
    busy = dict.fromkeys((100.0, 70.7107, 59.4604), [INVALID] * 3)
    capacity = search_capacity(follow(busy, has_capacity(300.0)), first_rate=100.0)

    assert capacity.ended == "found"
    assert capacity.highest_kept is not None
    assert 300 / 1.05 <= capacity.highest_kept <= 300


def test_a_client_that_can_measure_nothing_is_the_limit() -> None:
    capacity = search_capacity(lambda _: INVALID, first_rate=4.0)

    assert (capacity.ended, capacity.highest_kept) == ("client-limit", None)
    assert capacity.message.startswith("kept at no rate; invalid above: the client is the limit. At 1/s:")
    assert [(each.rate, each.repeat, each.confirms) for each in capacity.rungs[-6:]] == [
        (1.0, repeat, confirms) for confirms in (False, True) for repeat in (0, 1, 2)
    ]


def test_runs_that_are_too_short_to_tell_end_the_search() -> None:
    capacity = search_capacity(lambda _: UNDECIDED, first_rate=4.0)

    assert capacity.ended == "undecided"
    assert list_rungs(capacity) == [(4.0, "undecided")]
    assert capacity.message.startswith("At 4/s: p99 of all 10 requests cannot be told")


def test_it_ends_however_the_server_behaves() -> None:
    """Kept or missed by a coin: no rate is measured more than three times, so that it comes to an end."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        capacity = search_capacity(
            lambda _, rng=rng: KEPT if rng.random() < 0.5 else MISSED,  # type: ignore[misc]
            first_rate=100.0,
            most_runs=1000,
        )
        assert capacity.ended in {"found", "never-kept", "never-missed"}
        assert len(capacity.rungs) < 200
        rates = [each.rate for each in capacity.rungs]
        assert max(rates.count(rate) for rate in rates) <= 3


def test_where_two_runs_differ_and_no_other_is_valid_the_rate_is_not_kept() -> None:
    disputed = {400.0: [MISSED, KEPT] + [INVALID] * 50}
    capacity = search_capacity(follow(disputed, has_capacity(500.0)), first_rate=100.0, resolution=1.0)

    assert (capacity.ended, capacity.highest_kept, capacity.lowest_missed) == ("found", 200.0, 400.0)
    assert [each.status for each in capacity.rungs if each.rate == 400.0] == ["missed", "kept"] + ["invalid"] * 6


@pytest.mark.parametrize(
    ("runs", "kept", "missed", "message"),
    [
        (0, 100.0, None, "kept up to 100/s, when the time for the search was over"),
        (2, 400.0, None, "kept up to 400/s, when the time for the search was over"),
        (3, 400.0, 800.0, "kept up to 400/s, when the time for the search was over; missed from 800/s"),
    ],
)
def test_when_its_time_is_over_it_tells_what_it_has(runs: int, kept: float, missed: float | None, message: str) -> None:
    left = iter([True] * runs)
    capacity = search_capacity(has_capacity(500.0), first_rate=100.0, may_go_on=lambda: next(left, False))

    assert (capacity.ended, capacity.message) == ("out-of-time", message)
    assert (capacity.highest_kept, capacity.lowest_missed) == (kept, missed)


def test_when_its_time_is_over_an_invalid_run_is_not_repeated() -> None:
    capacity = search_capacity(lambda _: INVALID, first_rate=100.0, may_go_on=lambda: False)

    assert list_rungs(capacity) == [(100.0, "invalid")]
    assert (capacity.ended, capacity.highest_kept, capacity.lowest_missed) == ("out-of-time", None, None)


def test_too_many_runs_are_not_made() -> None:
    capacity = search_capacity(has_capacity(800.0), first_rate=1.0, most_runs=12)

    assert capacity.ended == "too-many-runs"
    assert len(capacity.rungs) == 12
    assert capacity.message == "kept up to 724.077/s, when the search had made 12 runs and was stopped"


def test_interrupted_it_says_what_is_known() -> None:
    def measure(rate: float) -> Measured:
        if rate > 300.0:
            raise KeyboardInterrupt
        return KEPT

    capacity = search_capacity(measure, first_rate=100.0)

    assert (capacity.ended, capacity.highest_kept, capacity.lowest_missed) == ("interrupted", 200.0, None)
    assert capacity.message == "kept up to 200/s, when the search had made 2 runs and was interrupted"
    with pytest.raises(KeyboardInterrupt):
        search_capacity(measure, first_rate=400.0)


def test_interrupted_among_invalid_runs_it_says_those() -> None:
    left = [INVALID, INVALID]

    def measure(_: float) -> Measured:
        if not left:
            raise KeyboardInterrupt
        return left.pop()

    capacity = search_capacity(measure, first_rate=100.0)

    assert capacity.message == "kept at no rate, when the search had made 2 runs and was interrupted"
    assert [(each.status, each.repeat) for each in capacity.rungs] == [("invalid", 0), ("invalid", 1)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"first_rate": 0.5}, "a search from 0.5/s, between 1/s and 1e+06/s, is none"),
        ({"first_rate": 0.0, "lowest_rate": 0.0}, "is none"),
        ({"first_rate": 50.0, "highest_rate": 10.0}, "is none"),
        ({"first_rate": math.nan}, "is none"),
        ({"first_rate": 10.0, "resolution": 0.0}, "a resolution of 0 is not between 0.001 and 1"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(options: dict[str, float], wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        search_capacity(has_capacity(10.0), **options)

    assert wanted in caught.value.message


@pytest.mark.parametrize(
    ("answers", "wanted"), [([1], [1]), ([0, 1], [0, 1]), ([0, 0, 1], [0, 0, 1]), ([0, 0, 0, 1], [0, 0, 0])]
)
def test_an_invalid_measurement_is_tried_again_at_most_twice(answers: list[int], wanted: list[int]) -> None:
    left = iter(answers)

    assert repeat_while_invalid(lambda: next(left), bool) == tuple(wanted)
