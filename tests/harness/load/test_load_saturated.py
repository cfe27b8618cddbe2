"""Signs of an overload: each has a run on which it stands, and one on which not."""

from __future__ import annotations

import tracemalloc

import numpy as np

from drawn_runs import MS, START_NS, draw_queue, make_run
from seatrial.load.analysis import analyse
from seatrial.load.samples import NEVER, Outcome
from seatrial.load.saturation import slows_down


def test_a_server_that_cannot_keep_up_is_saturated_and_its_figures_stand() -> None:
    result = analyse(make_run(draw_queue(1.2)))

    assert (result.valid, result.saturated) == (True, True)
    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.response_time_s.p50 is not None


def test_a_server_that_holds_every_connection_and_falls_behind_is_saturated() -> None:
    waiting = draw_queue(1.2)
    waiting["sent_ns"] = np.maximum(waiting["sent_ns"], waiting["last_ns"] - 300 * MS)

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=25))

    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.response_time_s.p50 is not None


def test_what_tells_a_server_that_falls_behind_is_read_again_and_not_held() -> None:
    """Of ten million requests even two columns would be 160 MB."""
    waiting = np.tile(draw_queue(1.2), 500)
    run = make_run(waiting, done={"exhausted": "connections"}, max_connections=25)
    tracemalloc.start()
    try:
        slows_down(run)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 16 * len(waiting)


def test_a_server_that_takes_its_time_whoever_asks_is_not_said_to_fall_behind() -> None:
    """Requests wait in the client, which has too few connections for them."""
    waiting = draw_queue(1.2)
    waiting["sent_ns"] = waiting["last_ns"] - 300 * MS

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=25))

    assert "connections-exhausted" in [reason.code for reason in result.reasons]
    assert not result.valid


def test_requests_that_never_got_a_connection_do_not_make_others_look_quicker() -> None:
    waiting = draw_queue(1.2)
    unsent = waiting["last_ns"] > START_NS + 15 * 10**9
    waiting["outcome"][unsent], waiting["sent_ns"][unsent] = Outcome.CENSORED, NEVER

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=1000))

    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.censored == int(unsent.sum()) > len(waiting) / 5
    assert result.response_time_s.p99 is None, "it lies among what was never answered"
