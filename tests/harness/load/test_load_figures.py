"""Quantiles against numpy, and intervals against laws whose quantiles are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seatrial.load.quantiles import FEWEST, find_interval, find_quantile, summarize

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


def draw_queue(rng: np.random.Generator, count: int, load: float) -> npt.NDArray[np.float64]:
    """Times in an M/M/1 queue of mean service `load`, one arrival a second: Lindley's recursion as a running minimum."""
    gaps, services = rng.exponential(1.0, count), rng.exponential(load, count)
    walk = np.cumsum(np.concatenate([[0.0], services[:-1] - gaps[1:]]))
    return walk - np.minimum.accumulate(walk) + services


@pytest.mark.parametrize("p", [0.5, 0.95])
def test_intervals_hold_the_truth_when_neighbours_are_alike(p: float) -> None:
    """A fixed seed: of 200 intervals of nominal 95 % at least 91 %, two standard errors below the 95, hold it."""
    truth = -0.7 / 0.3 * np.log(1 - p)
    held = naive = 0
    for stream in np.random.SeedSequence(5).spawn(200):
        times = (draw_queue(np.random.default_rng(stream), 20_000, 0.7) * 1e9).astype(np.int64)
        interval = find_interval(times, p)
        assert interval is not None
        held += interval.low <= truth <= interval.high
        shuffled = find_interval(np.random.default_rng(stream).permutation(times), p)
        assert shuffled is not None
        naive += shuffled.low <= truth <= shuffled.high
    assert held >= 182
    assert naive < 150, "an interval that takes the same times for independent holds it far less often"


def test_too_few_have_no_interval() -> None:
    assert find_interval(np.arange(399, dtype=np.int64), 0.5) is None
