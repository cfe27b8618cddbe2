"""Intervals of several workers: what they send adds up to what one stream would have sent, and holds the true value as often."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from chance import find_fewest
from seatrial.load.histogram import BOUND_NS, BUCKETS, find_buckets, find_ends
from seatrial.load.quantiles import find_interval
from seatrial.load.slices import Slices

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "measure_intervals.py"))
WINDOW_NS = 20 * 10**9
MS = 1_000_000


def draw(count: int = 20_000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(0, WINDOW_NS, count)), (rng.lognormal(1.5, 0.5, count) * MS).astype(np.int64)


def slice_up(offsets: np.ndarray, times: np.ndarray) -> Slices:
    return Slices.make(offsets, times, WINDOW_NS)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_merged_they_are_those_of_one_stream(workers: int) -> None:
    offsets, times = draw()
    dealt = np.random.default_rng(2).integers(0, workers, len(times))
    merged = Slices.none()
    for worker in np.random.default_rng(3).permutation(workers):
        merged = merged.merge(slice_up(offsets[dealt == worker], times[dealt == worker]))

    assert merged.encode() == slice_up(offsets, times).encode()
    assert int(merged.counts.sum()) == len(times)


def test_they_come_through_a_wire() -> None:
    slices = slice_up(*draw())
    data = slices.encode()

    assert Slices.decode(data).encode() == data
    assert len(data) < 100_000
    assert Slices.decode(Slices.none().encode()).find_interval(0.5) is None
    for wrong in (b"", data[:-5], b"x" * 100):
        with pytest.raises(ValueError, match="no slices"):
            Slices.decode(wrong)


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_of_a_steady_rate_intervals_are_nearly_those_of_the_samples(p: float) -> None:
    """Their batches are of equal time, not of equal number, and their ends those of buckets."""
    offsets, times = draw()
    found, true = slice_up(offsets, times).find_interval(p), find_interval(times, p)

    assert found is not None
    assert true is not None
    assert found.low == pytest.approx(true.low, rel=0.01)
    assert found.high == pytest.approx(true.high, rel=0.01)


def test_neighbours_that_are_alike_make_them_wider() -> None:
    """Also where no worker can see it: each has a tenth of what comes in bursts."""
    offsets, times = draw()
    bursty = np.where((offsets // 10**9) % 4 == 0, times * 3, times)
    shuffled = np.random.default_rng(1).permutation(bursty)
    together, apart = (slice_up(offsets, each).find_interval(0.95) for each in (bursty, shuffled))

    assert apart is not None
    assert together is None or together.high - together.low > 2 * (apart.high - apart.low)


def test_without_enough_there_is_none() -> None:
    offsets, times = draw(399)
    assert slice_up(offsets, times).find_interval(0.5) is None
    offsets, times = draw()
    at_once = slice_up(np.zeros_like(offsets), times)
    assert at_once.find_interval(0.5) is None, "what came all at one time tells nothing of any other"
    times[: len(times) // 10] = BOUND_NS
    lost = slice_up(offsets, times)
    assert lost.find_interval(0.95) is None, "it lies among those that never came"


def test_a_bucket_that_holds_most_of_the_times_is_within_the_interval() -> None:
    offsets, _ = draw()
    times = np.full(len(offsets), 200 * MS, np.int64)
    interval = slice_up(offsets, times).find_interval(0.5)

    assert interval is not None
    assert interval.low <= 0.2 <= interval.high <= interval.low * 1.002


def test_ends_of_buckets_are_those_of_the_times_in_them() -> None:
    ends = np.array([find_ends(bucket) for bucket in range(BUCKETS)])

    assert (ends[1:, 0] == ends[:-1, 1] + 1).all()
    assert (ends[0, 0], ends[-1, 1]) == (0, BOUND_NS - 1)
    for column in (0, 1):
        assert (find_buckets(ends[:, column]) == np.arange(BUCKETS)).all()


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("name", ["lognormal", "two humps", SCRIPT["QUEUE"], SCRIPT["OWN_QUEUES"]])
def test_intervals_hold_what_they_promise(name: str, workers: int) -> None:
    """In at least 93 % of the runs, up to chance."""
    for p, held in SCRIPT["measure_merged"](name, workers, runs=100, samples=10_000, seed=7).items():
        assert held.given >= 60, (p, held)
        assert held.held >= find_fewest(held.given, 0.93), (p, held)


def test_batches_are_of_requests_where_the_rate_changes() -> None:
    """A ramp to nine times the rate: batches by time alone would differ as much, and some hold nearly nothing."""
    rng = np.random.default_rng(1)
    offsets = np.sort(np.sqrt(rng.random(20_000)) * WINDOW_NS).astype(np.int64)
    times = (rng.lognormal(1.5, 0.5, len(offsets)) * MS).astype(np.int64)
    found, true = slice_up(offsets, times).find_interval(0.95), find_interval(times, 0.95)

    assert found is not None
    assert true is not None
    assert found.high - found.low == pytest.approx(true.high - true.low, rel=0.5)
