"""Schedules follow the law that they name, reproducibly, and no two workers send in step."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chance import find_two_sided, is_likely
from seatrial.errors import UsageError
from seatrial.load import arrivals as arrivals_module
from seatrial.load import schedules, traces
from seatrial.load.arrivals import (
    MAX_REQUESTS,
    MOST_DRAWN,
    Arrivals,
    Constant,
    Gamma,
    Poisson,
    Ramp,
    Steps,
    Trace,
    add_up,
)
from seatrial.load.schedules import make_schedule, parse_arrivals


def draw(
    arrivals: Arrivals, duration_s: float, seed: int = 1, worker: int = 0, workers: int = 1
) -> npt.NDArray[np.int64]:
    return make_schedule(arrivals, duration_s=duration_s, seed=seed, worker=worker, workers=workers).offsets_ns


def is_poisson(offsets_ns: npt.NDArray[np.int64], rate: float, duration_s: float) -> bool:
    """Kolmogorov-Smirnov of the gaps, and the dispersion of the counts of one-second windows (Cochran, Biometrics 10, 1954)."""
    gaps_s = np.diff(offsets_ns) / 1e9
    counts = np.bincount((offsets_ns // 1_000_000_000).astype(np.int64), minlength=int(duration_s))
    freedom = len(counts) - 1
    dispersion = freedom * counts.var(ddof=1) / counts.mean()
    return is_likely(stats.kstest(gaps_s, "expon", args=(0, 1 / rate)).pvalue) and is_likely(
        find_two_sided(stats.chi2.cdf(dispersion, freedom), stats.chi2.sf(dispersion, freedom))
    )


def has_count(offsets_ns: npt.NDArray[np.int64], rate: float, shape: float, duration_s: float) -> bool:
    """Of gamma gaps so many fit in as often as a sum of them, which is gamma distributed too, is no longer than the duration."""
    count, mean_s = len(offsets_ns), 1 / (rate * shape)
    at_most = stats.gamma.sf(duration_s, (count + 1) * shape, scale=mean_s)
    at_least = stats.gamma.cdf(duration_s, count * shape, scale=mean_s)
    return is_likely(find_two_sided(at_most, at_least))


def has_variation(offsets_ns: npt.NDArray[np.int64], shape: float) -> bool:
    """The gaps' deviation over their mean is that of a gamma law, up to its error in many gaps (by the delta method)."""
    gaps = np.diff(offsets_ns)
    error = ((0.5 + 0.5 / shape) / len(gaps)) ** 0.5
    off = abs(gaps.std() / gaps.mean() * shape**0.5 - 1) / error
    return is_likely(2 * stats.norm.sf(off))


@settings(deadline=None)
@given(rate=st.floats(0.01, 10_000), duration_s=st.floats(0.001, 2))
def test_constant_gaps_add_nothing_up(rate: float, duration_s: float) -> None:
    offsets = draw(Constant(rate=rate), duration_s)

    assert offsets[0] == 0
    exact, end_s = Fraction(str(rate)), Fraction(str(duration_s))
    assert offsets.tolist() == [int(10**9 * k / exact) for k in range(len(offsets))]
    assert (len(offsets) - 1) / exact < end_s <= len(offsets) / exact


@pytest.mark.parametrize(
    ("rate", "duration_s", "count"),
    [
        (10.0, 1.1, 11),
        (0.1, 30.0, 3),
        (97.3, 10.0, 973),
        (9999.9, 10.0, 99_999),
        (123_456.0, 0.125, 15_432),
        (3.0, 0.1, 1),
    ],
)
def test_no_send_is_due_at_the_end_of_a_window_as_it_was_written(rate: float, duration_s: float, count: int) -> None:
    """The floats of 1.1 and of 0.1 lie above, that of 97.3 below."""
    offsets = draw(Constant(rate=rate), duration_s)

    assert len(offsets) == count
    assert offsets[-1] < round(duration_s * 1e9)
    parts = [draw(Constant(rate=rate), duration_s, worker=worker, workers=3) for worker in range(3)]
    assert np.sort(np.concatenate(parts)).tolist() == offsets.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_poisson_is(seed: int) -> None:
    assert is_poisson(draw(Poisson(rate=100), 700, seed), 100, 700)


def test_what_others_call_poisson_is_seen() -> None:
    """So many a second exactly, and workers that share a seed: both are found in load generators."""
    rng = np.random.default_rng(1)
    even = np.sort(np.concatenate([second + rng.random(100) for second in range(700)]))
    assert not is_poisson((even * 1e9).astype(np.int64), 100, 700)
    in_step = np.sort(np.concatenate([draw(Poisson(rate=25), 700) for _ in range(4)]))
    assert not is_poisson(in_step, 100, 700)


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
def test_workers_make_one_poisson_process_together(workers: int) -> None:
    parts = [draw(Poisson(rate=200), 700, 3, worker, workers) for worker in range(workers)]

    assert is_poisson(np.sort(np.concatenate(parts)), 200, 700)
    assert len({part[:5].tobytes() for part in parts}) == workers


@pytest.mark.parametrize("arrivals", [Constant(rate=97.3), Gamma(rate=100, shape=0.3), Ramp(first=10, last=200)])
def test_what_is_dealt_out_is_the_whole(arrivals: Arrivals) -> None:
    parts = [draw(arrivals, 20, 3, worker, 5) for worker in range(5)]

    assert np.sort(np.concatenate(parts)).tolist() == draw(arrivals, 20, 3).tolist()


@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_gamma_gaps_vary_by_their_shape(shape: float) -> None:
    offsets = draw(Gamma(rate=100, shape=shape), 1000)

    assert has_count(offsets, 100, shape, 1000)
    assert has_variation(offsets, shape)


def test_gaps_of_another_rate_or_shape_are_seen() -> None:
    """By a twentieth of the rate, or a tenth of the shape."""
    offsets = draw(Gamma(rate=100, shape=1.0), 1000)

    assert not has_count(offsets, 105, 1.0, 1000)
    assert not has_count(offsets, 95, 1.0, 1000)
    assert not has_variation(offsets, 1.1)
    assert not has_variation(offsets, 0.9)


@pytest.mark.parametrize("shape", [0.01, 1e6])
def test_the_least_and_the_greatest_shape_have_the_rate_that_was_asked_for(shape: float) -> None:
    offsets = draw(parse_arrivals(f"gamma:{shape:g}", 100.0, 1000.0), 1000.0)

    assert has_count(offsets, 100, shape, 1000)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("shape", [1e-9, 1e308], ids=["nothing but bursts", "no numbers"])
def test_gaps_that_reach_no_end_are_given_up(shape: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals_module, "MOST_DRAWN", 10_000)

    with pytest.raises(UsageError, match="for 0.01 s are over 10,000 requests"):
        draw(Gamma(rate=100, shape=shape), 0.01)


@pytest.mark.parametrize("shape", [0.01, 1.0])
def test_as_many_as_may_be_expected_may_be_drawn(shape: float) -> None:
    """By seven of its deviations more, which at the most requests is the most that counts."""
    assert MAX_REQUESTS + 7 * (MAX_REQUESTS / shape) ** 0.5 < MOST_DRAWN


def test_a_ramp_rises() -> None:
    offsets = draw(Ramp(first=10, last=190), 10)

    counts = np.bincount(offsets // 1_000_000_000, minlength=10)
    assert len(offsets) == 1000
    assert np.abs(counts - (10 + 18 * (np.arange(10) + 0.5))).max() <= 1


def test_steps_follow_one_another() -> None:
    counts = np.bincount(draw(Steps(steps=((10, 2), (50, 1), (5, 1))), 5) // 1_000_000_000)

    assert counts.tolist() == [10, 10, 50, 5, 5]


@pytest.mark.parametrize(
    ("steps", "duration_s"),
    [
        (((10, 1.1), (10, 1.1)), 2.2),
        (((10, 0.1), (10, 0.2)), 0.3),
        (((10, 0.1),) * 50, 5.0),
        (((10, 0.7), (10, 0.4), (10, 0.2)), 1.6),
    ],
)
def test_where_one_step_ends_and_another_begins_there_is_one_send(
    steps: tuple[tuple[float, float], ...], duration_s: float
) -> None:
    """Of one rate throughout they are what the rate is without them."""
    assert draw(Steps(steps=steps), duration_s).tolist() == draw(Constant(rate=10), duration_s).tolist()


def test_steps_are_as_long_together_as_somebody_adds_them_up() -> None:
    """Whose floats add up to 0.30000000000000004, in which a third request would begin."""
    assert add_up(((10, 0.1), (10, 0.2))) == 0.3
    assert make_schedule(Steps(steps=((10, 0.1), (10, 0.2))), duration_s=0.3, seed=1).cut == ""


def test_a_seed_says_it_all() -> None:
    assert draw(Poisson(rate=50), 10, 7).tolist() == draw(Poisson(rate=50), 10, 7).tolist()
    assert draw(Poisson(rate=50), 10, 7).tolist() != draw(Poisson(rate=50), 10, 8).tolist()


@pytest.mark.parametrize(
    "arrivals", [Poisson(rate=1000), Gamma(rate=1000, shape=0.2), Ramp(first=5, last=500), Constant(rate=3)]
)
def test_all_lies_within_the_duration_in_order(arrivals: Arrivals) -> None:
    offsets = draw(arrivals, 3.7)

    assert offsets.dtype == np.int64
    assert offsets.min() >= 0
    assert offsets.max() < 3.7e9
    assert (np.diff(offsets) >= 0).all()


def test_a_trace_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("seconds,what\n0.5,a\n0.25,b\n\n7,late\n")

    assert draw(parse_arrivals(f"trace:{path}", None, 5), 5).tolist() == [250_000_000, 500_000_000]


def test_a_trace_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("0.5\n1\n", encoding="utf-8-sig")

    assert draw(parse_arrivals(f"trace:{path}", None, 5), 5).tolist() == [500_000_000, 1_000_000_000]


@pytest.mark.timeout(20)
def test_a_trace_is_read_from_a_file_and_from_nothing_else(tmp_path: Path) -> None:
    """A pipe is never whole, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")

    for each in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="it is no file"):
            parse_arrivals(f"trace:{each}", None, 5)


def test_a_trace_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "trace").open("wb") as file:
        file.truncate(traces.MAX_BYTES + 1)

    with pytest.raises(UsageError, match="over 256 MB long"):
        parse_arrivals(f"trace:{tmp_path / 'trace'}", None, 5)


def test_a_trace_holds_no_more_requests_than_any_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "MAX_REQUESTS", 3)
    path = tmp_path / "trace"
    path.write_text("0\n1\n2\n")
    assert len(draw(parse_arrivals(f"trace:{path}", None, 5), 5)) == 3

    path.write_text("0\n1\n2\n3\n")
    with pytest.raises(UsageError, match="holds over 3 times, at most 3"):
        parse_arrivals(f"trace:{path}", None, 5)


@pytest.mark.parametrize(
    ("law", "cut"),
    [
        (
            Trace(offsets_s=(0.0, 7.5, 5.0, 4.9), origin="t.csv"),
            "the window of 5 s leaves out 2 of the 4 requests of the trace t.csv: a duration of 8 s has them all",
        ),
        (Trace(offsets_s=(0.0, 4.9), origin="t.csv"), ""),
        (
            Steps(steps=((10, 4), (50, 3.5))),
            "the window of 5 s leaves out the last 2.5 of the 7.5 s of the steps: a duration of 7.5 s has them all",
        ),
        (Steps(steps=((10, 4), (50, 1)), poisson=True), ""),
        (Steps(steps=((10, 0.1),) * 50), ""),
        (Steps(steps=((10, 1),)), ""),
        (Ramp(first=1, last=2), ""),
    ],
)
def test_what_does_not_fit_into_the_window_is_said(law: Arrivals, cut: str) -> None:
    assert make_schedule(law, duration_s=5.0, seed=1).cut == cut


@pytest.mark.parametrize(
    ("text", "rate", "words"),
    [
        ("poisson", 0.0, "not above 0"),
        ("poisson", -1.0, "not above 0"),
        ("poisson", 1e9, "at most 1,000,000"),
        ("poisson", float("nan"), "not above 0"),
        ("poisson", None, "need a rate"),
        ("zig", 1.0, "is no law of arrival"),
        ("gamma:0", 1.0, "is 0, 0.01 to 1,000,000 were expected"),
        ("gamma:1e-9", 1.0, "is 1e-09, 0.01 to 1,000,000 were expected"),
        ("gamma:0.0099", 1.0, "is 0.0099, 0.01 to 1,000,000 were expected"),
        ("gamma:1e300", 1.0, r"is 1e\+300, 0.01 to 1,000,000 were expected"),
        ("gamma:inf", 1.0, "is inf, 0.01 to 1,000,000 were expected"),
        ("gamma:nan", 1.0, "is nan, 0.01 to 1,000,000 were expected"),
        ("gamma:x", 1.0, "a number was expected"),
        ("ramp:5", None, "a number was expected"),
        ("steps:5x0", None, "above 0 was expected"),
        ("trace:nowhere", None, "cannot be read"),
        ("constant", 900_000.0, "at most 50,000,000"),
    ],
)
def test_what_is_no_law_is_said(text: str, rate: float | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_arrivals(text, rate, 100.0)


def test_a_worker_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="worker 2 of 2"):
        draw(Constant(rate=1), 1, worker=2, workers=2)
