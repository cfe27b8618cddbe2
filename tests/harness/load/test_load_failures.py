"""Failures improve no quantile: not when they come at once, and not when they take the place of what would have been slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from seatrial.load.analysis import measure
from seatrial.load.arrivals import Constant
from seatrial.load.measuring import measure_load
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.result import Quantiles
from seatrial.load.samples import NEVER, SAMPLE, Outcome, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.slices import slice_responses
from seatrial.load.summary import render_load
from seatrial.load.tally import Tally
from seatrial.load.window import Window

MIXING = Path(__file__).with_name("mixing.py")
SECOND_NS, COUNT = 10**9, 5000
WINDOW = Window(begin_ns=SECOND_NS, end_ns=11 * SECOND_NS)
FAILURES = sorted(set(Outcome) - {Outcome.ANSWERED, Outcome.UNSENT})


def draw(outcome: Outcome, failed_ns: int) -> Samples:
    """Requests of which one in fifty failed, after so long."""
    rng = np.random.default_rng(5)
    samples = np.zeros(COUNT, SAMPLE)
    samples["intended_ns"] = WINDOW.begin_ns + np.sort(rng.integers(0, WINDOW.length_ns, COUNT))
    samples["sent_ns"] = samples["intended_ns"] + 1000
    samples["last_ns"] = samples["sent_ns"] + (rng.lognormal(1.5, 0.5, COUNT) * 1e6).astype(np.int64)
    samples["connect_ns"] = NEVER
    failed = rng.choice(COUNT, COUNT // 50, replace=False)
    samples["outcome"][failed], samples["last_ns"][failed] = outcome, samples["sent_ns"][failed] + failed_ns
    return samples


def assert_no_better(found: Quantiles, answered: Quantiles) -> None:
    """Hold quantiles against those that there would be, had each failure been an answer that came when it did."""
    for name, value in msgspec.structs.asdict(found).items():
        bound = getattr(answered, name)
        assert value is None or (bound is not None and value >= bound), name


@pytest.mark.parametrize("failed_ns", [1000, 5 * SECOND_NS], ids=["at once", "after 5 s"])
@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: outcome.name)
def test_no_failure_improves_a_quantile_whenever_it_comes(outcome: Outcome, failed_ns: int) -> None:
    samples = draw(outcome, failed_ns)
    figures, answered = measure(samples), measure(draw(Outcome.ANSWERED, failed_ns))

    for found, had in ((figures.response, answered.response), (figures.service, answered.service)):
        assert_no_better(found, had)
        assert found.p95 is not None
        assert (found.p99, found.max) == (None, None)
    assert set(figures.intervals) == {"p50", "p95"}


@pytest.mark.parametrize("failed_ns", [1000, 5 * SECOND_NS], ids=["at once", "after 5 s"])
@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: outcome.name)
def test_nor_does_it_in_what_workers_add_up(outcome: Outcome, failed_ns: int) -> None:
    samples = draw(outcome, failed_ns)
    tally, slices = Tally(), slice_responses(samples[::2], WINDOW).merge(slice_responses(samples[1::2], WINDOW))
    for part in (samples[::2], samples[1::2]):
        worker = Tally()
        worker.add(part)
        tally.merge(worker)

    for name in ("response", "service"):
        found = tally.series[name].summarize()
        assert found.p95 == pytest.approx(getattr(measure(samples), name).p95, rel=1e-3)
        assert (found.p99, found.max) == (None, None)
    assert slices.find_interval(0.95) is not None
    assert slices.find_interval(0.99) is None


@pytest.mark.timeout(60)
def test_a_server_that_gives_slow_requests_up_has_no_quantile_of_the_others(tmp_path: Path) -> None:
    """Of all requests 10 % are refused at once, 2 % each after 0.2 s, cut off after 0.2 s, and never answered."""
    with subprocess.Popen(
        [sys.executable, str(MIXING), "0.02"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        plan = Plan(
            destination=Destination(host="127.0.0.1", port=int(server.stdout.readline())),
            requests=(b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n",),
            cases=(0,),
            mode="open",
            duration_s=2.0,
            timeout_s=0.5,
            drain_s=5.0,
            connections=8,
        )
        schedule = make_schedule(Constant(rate=200.0), duration_s=2.0, seed=1)
        result = measure_load(plan, schedule, directory=tmp_path)
        server.kill()
    figures = measure(read_samples(tmp_path / SAMPLES_FILE))

    assert result.statuses["504"] == 8
    assert result.outcomes == {"answered": 336, "refused": 48, "truncated": 8, "timed_out": 8}
    assert (figures.response.p90, figures.response.p99, figures.service.p90) == (None, None, None)
    assert (figures.response.p50 or 0) >= 0.02
    assert (figures.failure.p50 or 1) < 0.2 <= (figures.failure.p90 or 0)
    if result.valid:  # else this machine was too busy to measure, and there are no times
        assert result.response_time_s == figures.response
        wanted = "remark: 64 of 400 requests failed (16.00%), which count as slower than any answer: p90, p95, p99, max are among"
        assert wanted in render_load(result, "URL")


def test_a_run_of_which_all_fails_has_the_times_of_failures_alone() -> None:
    samples = draw(Outcome.ANSWERED, 1000)
    samples["outcome"], samples["status"] = Outcome.REFUSED, 503
    figures = measure(samples)

    assert set(msgspec.structs.asdict(figures.response).values()) == {None}
    assert set(msgspec.structs.asdict(figures.service).values()) == {None}
    assert not figures.intervals
    assert (
        figures.failure.p50
        == np.quantile(samples["last_ns"] - samples["intended_ns"], 0.5, method="inverted_cdf") / 1e9
    )
