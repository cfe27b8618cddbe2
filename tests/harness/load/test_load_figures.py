"""Quantiles against numpy, and intervals against laws whose quantiles are known."""

from __future__ import annotations

import runpy
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seatrial.load.quantiles import FEWEST, find_interval, find_quantile, find_share_interval, summarize

TIMES = arrays.arrays(np.int64, st.integers(1, 3000), elements=st.integers(0, 60_000_000_000))


@given(times=TIMES, p=st.sampled_from(sorted(FEWEST)))
def test_a_quantile_is_numpys_or_null(times: npt.NDArray[np.int64], p: float) -> None:
    found = find_quantile(times, p)

    if len(times) < FEWEST[p]:
        assert found is None
    else:
        assert found == np.quantile(times, p, method="inverted_cdf")


@given(times=TIMES)
def test_a_summary_is_in_seconds_and_rises(times: npt.NDArray[np.int64]) -> None:
    summary = summarize(times)
    given_ = [each for each in (summary.p50, summary.p90, summary.p95, summary.p99, summary.max) if each is not None]

    assert summary.max == times.max() / 1e9
    assert given_ == sorted(given_)
    assert summary.p99_9 is None


def test_of_nothing_there_is_no_figure() -> None:
    assert summarize(np.empty(0, np.int64)).max is None


SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "measure_intervals.py"))
SERVERS, draw_runs = SCRIPT["SERVERS"], SCRIPT["draw_runs"]


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_intervals_hold_the_truth_when_neighbours_are_alike(p: float) -> None:
    """Fixed seeds: of 200 intervals of nominal 95 % so many hold it that their coverage is 93 %, but for one chance in 10,000."""
    name = "M/M/1 at 70 %"
    truth = SERVERS[name][1](p)
    held = given_ = naive = 0
    for run, times in enumerate(draw_runs(name, runs=200, samples=20_000, seed=5)):
        interval = find_interval(times, p)
        given_ += interval is not None
        held += interval is not None and interval.low <= truth <= interval.high
        shuffled = find_interval(np.random.default_rng(run).permutation(times), p)
        assert shuffled is not None
        naive += shuffled.low <= truth <= shuffled.high
    assert given_ >= 180
    assert held >= 0.93 * given_ - 3.8 * np.sqrt(0.93 * 0.07 * given_)
    assert naive < 150, "an interval that takes the same times for independent holds it far less often"


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_intervals_of_independent_samples_are_not_much_wider_than_they_must_be(p: float) -> None:
    """Of the order statistics that hold it exactly, the median width over 50 runs is at most 1.4 times that."""
    count = 20_000
    half = NormalDist().inv_cdf(0.975) * np.sqrt(p * (1 - p) * count)
    ratios = []
    for times in draw_runs("lognormal", runs=50, samples=count, seed=6):
        interval = find_interval(times, p)
        assert interval is not None
        low, high = np.sort(times)[[int(p * count - half), int(p * count + half)]] / 1e9
        ratios.append((interval.high - interval.low) / (high - low))
    assert 1.0 <= np.median(ratios) <= 1.4


def test_an_interval_has_no_end_beyond_the_samples() -> None:
    """With few samples an end of the interval of a p99 would lie beyond the largest: then there is none."""
    given_ = []
    for count in range(400, 1600, 25):
        times = np.random.default_rng(count).integers(0, 10**12, count)
        interval = find_interval(times, 0.99)
        given_.append(interval is not None)
        assert interval is None or times.min() < interval.low * 1e9 < interval.high * 1e9 < times.max()
    assert not given_[0]
    assert given_[-1]


def test_one_burst_tells_nothing_of_where_the_next_will_lie() -> None:
    times = np.full(2000, 10**6)
    times[1000:1030] = 10**9

    assert find_interval(times, 0.99) is None
    assert find_interval(np.random.default_rng(1).permutation(times), 0.99) is not None


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3])
def test_intervals_of_shares_hold_the_truth(share: float) -> None:
    held = 0
    for stream in np.random.SeedSequence(7).spawn(200):
        flags = np.random.default_rng(stream).random(5000) < share
        interval = find_share_interval(flags)
        assert interval is not None
        held += interval[0] <= share <= interval[1]
        opposite = find_share_interval(~flags)
        assert opposite == pytest.approx((1 - interval[1], 1 - interval[0]))
    assert held >= 173


def test_none_of_many_may_still_be_some() -> None:
    """Of none in 10,000 the exact upper bound of 97.5 % is 3.69 in 10,000."""
    found = find_share_interval(np.zeros(10_000, np.bool_))

    assert found == (0.0, pytest.approx(3.69e-4, rel=0.1))
    assert find_share_interval(np.zeros(399, np.bool_)) is None


def test_failures_that_come_together_tell_less_than_as_many_apart() -> None:
    apart, together = np.zeros(10_000, np.bool_), np.zeros(10_000, np.bool_)
    apart[::100] = together[5000:5100] = True
    (low, high), (lower, higher) = find_share_interval(apart) or (0, 0), find_share_interval(together) or (0, 0)

    assert lower < low / 5
    assert higher > 3 * high


def test_too_few_have_no_interval() -> None:
    assert find_interval(np.arange(399, dtype=np.int64), 0.5) is None
