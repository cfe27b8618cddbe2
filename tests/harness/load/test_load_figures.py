"""Which requests the figures of a run are of."""

from __future__ import annotations

import numpy as np

from drawn_runs import CALM, START_NS, change, make_run
from seatrial.load.analysis import analyse
from seatrial.load.samples import Outcome


def test_failures_have_a_series_of_their_own() -> None:
    """Quick failures do not make answers look quicker: the median of all is one of the slower answers."""
    failing = CALM.copy()
    failing["outcome"][::3] = Outcome.REFUSED
    failing["status"][::3] = 500
    failing["last_ns"][::3] = failing["sent_ns"][::3] + 1000
    result = analyse(make_run(failing))
    rest = np.delete(CALM, np.s_[::3])
    took_ns = np.sort(rest["last_ns"] - rest["intended_ns"])

    assert result.errors == len(CALM[::3])
    assert result.statuses == {"200": len(rest), "500": len(CALM[::3])}
    assert result.response_time_s.p50 == took_ns[len(CALM) // 2 - 1] / 1e9
    assert result.failure_time_s.max is not None
    assert result.failure_time_s.max < 0.001


def test_requests_without_an_end_rank_above_all_answers() -> None:
    pending = change(CALM, "outcome", 0.02, Outcome.CENSORED)
    result = analyse(make_run(pending))

    assert result.censored == len(CALM[::50])
    assert result.response_time_s.p50 is not None
    assert result.response_time_s.p99 is None


def test_warm_up_is_in_no_figure() -> None:
    samples = CALM.copy()
    early = samples["intended_ns"] < START_NS + 5 * 10**9
    samples["phase"][early] = 1
    samples["last_ns"][early] += 10**9
    done = {"window_begin_ns": START_NS + 5 * 10**9, "in_flight_area_ns": 0}
    result = analyse(make_run(samples, warm_up_s=5.0, duration_s=15.0, done=done))

    assert result.requests == int((~early).sum())
    assert result.warm_up_s == 5.0
    assert result.duration_s == 15.0


def test_a_percentile_with_too_few_samples_is_null_and_the_run_stands() -> None:
    result = analyse(make_run(CALM[:15]))

    assert result.valid
    assert result.response_time_s.p50 is not None
    assert result.response_time_s.p95 is None
