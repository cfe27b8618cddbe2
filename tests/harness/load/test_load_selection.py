"""What is found block by block, against the same found in one array that is sorted."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.load import blocks, quantiles
from seatrial.load.blocks import SampleSeries
from seatrial.load.quantiles import FEWEST, FOREVER_NS, Times, find_intervals, find_share_above, find_share_interval
from seatrial.load.quantiles import summarize as summarize_times
from seatrial.load.samples import SAMPLE, Samples
from seatrial.load.selection import Selection
from seatrial.load.series import HeldSeries

SHAPES = {
    "any": lambda rng, count: rng.integers(-(1 << 62), 1 << 62, count),
    "times": lambda rng, count: rng.lognormal(np.log(5e6), 1.0, count).astype(np.int64),
    "one value": lambda rng, count: np.full(count, int(rng.integers(0, 1 << 40))),
    "few values": lambda rng, count: rng.integers(0, 3, count),
    "neighbours": lambda rng, count: rng.integers(10**9, 10**9 + count // 3 + 1, count),
    "zeros and forever": lambda rng, count: np.where(rng.random(count) < 0.3, FOREVER_NS, 0),
    "a tail of forever": lambda rng, count: np.where(
        rng.random(count) < 0.02, FOREVER_NS, rng.integers(0, 10**7, count)
    ),
    "ascending": lambda rng, count: np.sort(rng.integers(0, 10**12, count)),
    "in turn": lambda rng, count: np.arange(count) % 1009 * 10**6 + rng.integers(0, 10, count),
    "alike": lambda rng, count: np.abs(np.cumsum(rng.integers(-1000, 1001, count))),
}
steadily = settings(deadline=None, derandomize=True, max_examples=60)
shapes = st.sampled_from(sorted(SHAPES))
seeds = st.integers(0, 1 << 30)


def draw(shape: str, seed: int, count: int) -> Times:
    return SHAPES[shape](np.random.default_rng(seed), count).astype(np.int64)


@steadily
@given(shape=shapes, seed=seeds, count=st.integers(1, 5000), size=st.integers(1, 3000), held=st.integers(1, 2000))
def test_a_selected_value_is_that_of_the_sorted_array(shape: str, seed: int, count: int, size: int, held: int) -> None:
    values = draw(shape, seed, count)
    before = values.copy()
    selection = Selection(lambda: iter(np.split(values, range(size, count, size))), most_held=held)
    places = [0, count - 1, *np.random.default_rng(seed).integers(0, count, 20)]

    assert selection.count == count
    assert selection.select(places) == list(np.sort(values)[places])
    # What was narrowed down for some is of use for others.
    assert selection.select(places[:1]) == [values.min()]
    assert selection.select([]) == []
    assert np.array_equal(values, before)


def test_of_many_values_few_are_held() -> None:
    """Of four million, which would take 32 MB."""

    def read() -> Iterator[Times]:
        for seed in range(64):
            yield draw("times", seed, 1 << 16)

    tracemalloc.start()
    found = Selection(read, most_held=1 << 16).select([10**6, 2 * 10**6, 4 * 10**6])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == list(np.sort(np.concatenate(list(read())))[[10**6, 2 * 10**6, 4 * 10**6]])
    assert peak_bytes < 8 << 20


def make_samples(times: Times, seed: int, *, spread: int) -> Samples:
    """Return records in an order of their own, of requests that are due within `spread` nanoseconds."""
    samples = np.zeros(len(times), SAMPLE)
    samples["intended_ns"] = 10**15 + np.random.default_rng(seed).integers(0, spread, len(times))
    samples["last_ns"] = times
    samples["phase"] = np.random.default_rng(seed).random(len(times)) < 0.1
    return samples


def as_series(samples: Samples) -> SampleSeries:
    return SampleSeries(samples, lambda block: block["phase"] == 0, lambda block: block["last_ns"])


def put_in_order(samples: Samples) -> Times:
    timed = samples[samples["phase"] == 0]
    return timed["last_ns"][np.argsort(timed["intended_ns"], kind="stable")]


@steadily
@given(
    shape=shapes,
    seed=seeds,
    count=st.integers(0, 2000),
    spread=st.sampled_from([1, 2, 30, 10**4, 10**12]),
    length=st.integers(1, 300),
)
def test_every_request_is_in_its_stretch_of_the_order_of_sends(
    shape: str, seed: int, count: int, spread: int, length: int
) -> None:
    samples = make_samples(draw(shape, seed, count), seed, spread=spread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 97)
        found = list(as_series(samples).number(length))
    stretches = {each: list[int]() for each in range(count // length + 1)}
    for times, numbers in found:
        for time, number in zip(times, numbers, strict=True):
            stretches[int(number)].append(int(time))

    in_order = put_in_order(samples)
    for number, stretch in stretches.items():
        assert sorted(stretch) == sorted(in_order[number * length : (number + 1) * length])
    held = [number for _, numbers in HeldSeries(in_order).number(length) for number in numbers]
    assert held == sorted(int(number) for _, numbers in found for number in numbers)


def define_interval(times: Times, p: float, confidence: float) -> tuple[float, float] | None:
    """The definition, of an array that is held."""
    count, ordered = len(times), np.sort(times)

    def find(level: float) -> int | None:
        enough = count >= FEWEST.get(level, math.ceil(10 / (1 - level)))
        return int(ordered[math.ceil(level * count - 1e-9) - 1]) if enough else None

    def inflate(flags: np.ndarray) -> float:
        length = count // 20
        batches = flags[: length * 20].reshape(20, length).mean(axis=1)
        mean = float(flags.mean())
        return 1 + 1.5 * max(float(batches.var(ddof=1)) * length / max(mean * (1 - mean), 1 / count) - 1, 0)

    if find(p) is None or count < 400:
        return None
    inflation = max(
        inflate(times > (find(each) or 0)) for each in (p, max(1 - 5 * (1 - p), 0.5), max(1 - 25 * (1 - p), 0.5))
    )
    effective = count / inflation
    if effective * min(p, 1 - p) < 2:
        return None
    t = quantiles._student(confidence, min(19, effective * min(p, 1 - p) / 3))
    centre = (p + t**2 / (2 * effective)) / (1 + t**2 / effective)
    half = t * math.sqrt(p * (1 - p) / effective + t**2 / (4 * effective**2)) / (1 + t**2 / effective)
    low, high = math.floor((centre - half) * count), math.ceil((centre + half) * count)
    return None if low < 1 or high >= count - 1 else (ordered[low] / 1e9, ordered[high] / 1e9)


@steadily
@given(
    shape=shapes,
    seed=seeds,
    count=st.integers(1, 6000),
    spread=st.sampled_from([1, 30, 10**4, 10**12]),
    confidence=st.sampled_from([0.95, 0.999]),
)
def test_quantiles_and_intervals_are_those_of_the_array_in_order(
    shape: str, seed: int, count: int, spread: int, confidence: float
) -> None:
    samples = make_samples(draw(shape, seed, count), seed, spread=spread)
    in_order = put_in_order(samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 1000)
        # So that it is never held whole.
        patch.setattr(Selection.__init__, "__defaults__", (300,))
        series = as_series(samples)
        summary = summarize_times(series)
        found = find_intervals(series, (0.5, 0.9, 0.95, 0.99), confidence)

    for p, interval in found.items():
        assert (interval and (interval.low, interval.high)) == define_interval(in_order, p, confidence), p
    assert found == find_intervals(in_order, (0.5, 0.9, 0.95, 0.99), confidence)
    assert summary == summarize_times(in_order)
    assert summary.max == (in_order.max() / 1e9 if len(in_order) else None)
    bound_ns = int(np.median(in_order)) if len(in_order) else 0
    assert find_share_above(series, bound_ns) == find_share_interval(in_order > bound_ns)
