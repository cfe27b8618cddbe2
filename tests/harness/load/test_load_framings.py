"""Ways in which an answer ends besides one HTTP response, and cases that are told apart."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from seatrial.load.arrivals import Constant
from seatrial.load.driver import PacerRun, run_pacer
from seatrial.load.plan import Destination, FollowUp, Plan
from seatrial.load.samples import Outcome
from seatrial.load.schedules import make_schedule

Serve = Callable[..., int]
BODIES = tuple(b"question %d" % number for number in range(8))
PLACE = b"PLACEHOLDER"


def make_post(body: bytes) -> bytes:
    return b"POST /call HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def run_framing(
    port: int, directory: Path, requests: tuple[bytes, ...], rate: float = 40.0, **changes: Any
) -> PacerRun:
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=port),
        requests=requests,
        cases=tuple(range(len(requests))),
        mode="open",
        duration_s=1.0,
        timeout_s=5.0,
        drain_s=5.0,
    )
    schedule = make_schedule(Constant(rate=rate), duration_s=1.0, seed=1)
    return run_pacer(msgspec.structs.replace(plan, **changes), schedule.offsets_ns, directory=directory)


def run_events(port: int, directory: Path, **changes: Any) -> PacerRun:
    follow_up = FollowUp(request=b"GET /call/" + PLACE + b" HTTP/1.1\r\nHost: x\r\n\r\n", placeholder=PLACE)
    posts = tuple(make_post(body) for body in BODIES)
    return run_framing(port, directory, posts, framing="http-events", follow_up=follow_up, **changes)


def list_outcomes(run: PacerRun) -> set[str]:
    return {Outcome(value).name for value in run.samples["outcome"]}


def test_frames_come_back_whole_and_to_their_own_case(serve: Serve, tmp_path: Path) -> None:
    frames = tuple(struct.pack("!I", len(body)) + body for body in BODIES)
    run = run_framing(serve("frame"), tmp_path, frames, framing="frame")

    assert list_outcomes(run) == {"ANSWERED"}
    assert {answer.case: answer.body for answer in run.answers} == dict(enumerate(BODIES))
    assert len(run.samples) == 40


@pytest.mark.parametrize("kind", ["events", "events-close"])
def test_a_call_is_done_when_its_last_event_is_in(serve: Serve, tmp_path: Path, kind: str) -> None:
    run = run_events(serve(kind), tmp_path)

    assert list_outcomes(run) == {"ANSWERED"}
    assert {answer.case: answer.body for answer in run.answers} == {
        case: b"event: complete\ndata: " + body + b"\n\n" for case, body in enumerate(BODIES)
    }
    assert (run.samples["last_ns"] > run.samples["first_ns"]).all(), "the post's answer is the first byte"


def test_a_connection_carries_another_call_when_the_stream_has_ended(serve: Serve, tmp_path: Path) -> None:
    assert run_events(serve("events"), tmp_path, connections=4).done.connections_opened <= 10


def test_an_error_event_ends_a_call_and_is_kept_as_what_was_said(serve: Serve, tmp_path: Path) -> None:
    run = run_events(serve("events-error"), tmp_path)

    assert all((answer.body or b"").startswith(b"event: error\n") for answer in run.answers)
    assert len(run.answers) == len(BODIES)


def test_a_stream_without_its_last_event_was_cut_off(serve: Serve, tmp_path: Path) -> None:
    assert list_outcomes(run_events(serve("events-cut"), tmp_path)) == {"TRUNCATED"}


def test_what_gives_no_id_is_no_call(serve: Serve, tmp_path: Path) -> None:
    assert list_outcomes(run_events(serve("echo"), tmp_path)) == {"MALFORMED"}


def test_no_case_is_in_flight_twice_while_another_is_free(serve: Serve, tmp_path: Path) -> None:
    posts = tuple(make_post(body) for body in BODIES)
    run = run_framing(serve("delay", 0.02), tmp_path, posts, mode="closed", users=4)

    assert run.done.doubled == 0
    for case in range(len(BODIES)):
        mine = np.sort(run.samples[run.samples["case"] == case], order="sent_ns")
        assert len(mine) > 1
        assert (mine["sent_ns"][1:] >= mine["last_ns"][:-1]).all()


def test_with_more_in_flight_than_there_are_cases_it_is_counted(serve: Serve, tmp_path: Path) -> None:
    run = run_framing(serve("delay", 0.3), tmp_path, tuple(make_post(body) for body in BODIES[:2]), rate=40.0)

    assert run.done.doubled > 0
