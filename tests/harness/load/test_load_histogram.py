"""Histograms: exact where they say so, within a thousandth of numpy's quantiles, the same however they are put together."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seatrial.load.histogram import BOUND_NS, BUCKETS, Histogram, find_buckets, find_middles
from seatrial.load.quantiles import FEWEST, Times, find_quantile, summarize

# Logarithms, so that each size of time comes up as often as any other.
TIMES = arrays(np.float64, st.integers(0, 400), elements=st.floats(0.0, 46.9)).map(lambda e: (2.0**e).astype(np.int64))
FROM_10_US_TO_60_S = arrays(np.float64, st.integers(100, 400), elements=st.floats(-5.0, 1.778)).map(
    lambda e: np.clip((10.0**e * 1e9).astype(np.int64), 10_000, 60_000_000_000)
)

# The machine may be busy, and a run that fails must fail again.
steadily = settings(deadline=None, derandomize=True, max_examples=60)


def count(*parts: Times) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def merge(*parts: Histogram) -> Histogram:
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    return whole


@steadily
@given(times=FROM_10_US_TO_60_S, p=st.sampled_from(sorted(FEWEST)))
def test_a_quantile_is_within_a_thousandth_of_numpys(times: Times, p: float) -> None:
    found, true = count(times).find_quantile(p), find_quantile(times, p)

    if true is None:
        assert found is None
    else:
        assert true == np.quantile(times, p, method="inverted_cdf")
        assert found is not None
        assert abs(found - true) <= 0.001 * true


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_million_times_of_all_sizes_every_quantile_is_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = (10 ** rng.uniform(-5, 1.778, 1_000_000) * 1e9).astype(np.int64)
    histogram = count(times)
    shares = [0.001, 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]
    true = np.quantile(times, shares, method="inverted_cdf")
    found = np.array([histogram.find_quantile(p) for p in shares])

    assert (np.abs(found - true) / true).max() <= 0.001
    assert len(histogram.encode()) <= 200_000


@steadily
@given(times=TIMES)
def test_number_sum_minimum_and_maximum_are_exact(times: Times) -> None:
    histogram = count(times)

    assert histogram.count == len(times)
    assert histogram.total_ns == sum(times.tolist())
    assert (histogram.min_ns, histogram.max_ns) == ((times.min(), times.max()) if len(times) else (-1, -1))


@steadily
@given(times=TIMES, cuts=st.lists(st.integers(0, 400), max_size=4), order=st.randoms(use_true_random=False))
def test_parts_merged_in_any_order_are_the_whole_bit_for_bit(times: Times, cuts: list[int], order: object) -> None:
    parts = [count(part) for part in np.split(times, sorted(min(cut, len(times)) for cut in cuts))]
    order.shuffle(parts)  # type: ignore[attr-defined]
    whole = count(times)

    assert merge(*parts).encode() == whole.encode()
    assert merge(merge(*parts[:2]), merge(*parts[2:])).encode() == whole.encode()
    assert merge(parts[0], merge(*parts[1:])).encode() == whole.encode()


@steadily
@given(earlier=TIMES, later=TIMES)
def test_the_difference_of_two_states_leads_from_the_one_to_the_other(earlier: Times, later: Times) -> None:
    before = count(earlier)
    after = before.copy()
    after.add(later)
    difference = after.subtract(before)

    assert difference.count == len(later)
    assert merge(before, difference).encode() == after.encode()
    assert before.encode() == count(earlier).encode(), "a copy changes by itself"


@steadily
@given(times=TIMES)
def test_it_comes_through_json_as_it_was(times: Times) -> None:
    histogram = count(times, np.array([BOUND_NS] * 3))
    text = json.loads(json.dumps(histogram.encode()))
    back = Histogram.decode(text)

    assert back.encode() == text
    assert (back.count, back.beyond, back.total_ns) == (len(times) + 3, 3, histogram.total_ns)
    assert (back.counts == histogram.counts).all()


@steadily
@given(time=st.integers(0, BOUND_NS - 1))
def test_each_time_is_in_a_bucket_whose_middle_is_near(time: int) -> None:
    (bucket,) = find_buckets(np.array([time]))
    (middle,) = find_middles(np.array([bucket]))

    assert 0 <= bucket < BUCKETS
    assert abs(int(middle) - time) * 2048 <= time


def test_buckets_follow_one_another_without_a_gap() -> None:
    buckets = np.arange(BUCKETS)
    middles = find_middles(buckets)

    assert (find_buckets(middles) == buckets).all()
    assert (np.diff(middles) > 0).all()
    assert find_buckets(np.array([BOUND_NS - 1])) == BUCKETS - 1


def test_what_never_came_ranks_above_all_and_has_no_value() -> None:
    forever = np.full(20, 1 << 60)
    histogram = count(np.full(980, 5_000_000), forever)

    assert histogram.count == 1000
    assert histogram.find_quantile(0.95) == 5_000_000
    assert histogram.find_quantile(0.99) is None
    assert histogram.summarize().max is None
    assert count(np.full(980, 5_000_000)).find_quantile(0.99) == 5_000_000


def test_a_sum_that_fits_no_machine_word_is_exact() -> None:
    times = np.full(400_000, BOUND_NS - 1)

    assert count(times).total_ns == 400_000 * (BOUND_NS - 1) > 2**64
    assert Histogram.decode(count(times).encode()).total_ns == 400_000 * (BOUND_NS - 1)


def test_the_summary_has_the_fields_of_that_of_the_samples() -> None:
    times = np.random.default_rng(5).integers(10_000, 60_000_000_000, 20_000)
    found, true = count(times).summarize(), summarize(times)

    assert found.max == true.max
    for name in ("p50", "p90", "p95", "p99", "p99_9"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), rel=0.001)
    few = count(times[:15]).summarize()
    assert (few.p95, few.p50 is None) == (None, False)


def test_the_largest_that_a_run_can_give_is_under_200_kb() -> None:
    rng = np.random.default_rng(1)
    full = Histogram(counts=rng.multinomial(50_000_000, np.full(BUCKETS, 1 / BUCKETS)).astype(np.int64))
    uneven = Histogram(counts=rng.integers(1, 1 << rng.integers(1, 16, BUCKETS)).astype(np.int64))

    assert len(full.encode()) <= 200_000
    assert len(uneven.encode()) <= 200_000


@pytest.mark.parametrize("text", ["", "x", "Not a histogram", "c${NkU|;|M0C)o0", Histogram().encode()[:-4]])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no encoded histogram"):
        Histogram.decode(text)
