"""What must hold of a history, red and green on made ones."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.history import History, HistoryHead, HistoryMark, HistoryRequest
from seatrial_suites.conformance.histories import (
    count_in_flight,
    describe_requests,
    find_abandoned,
    find_dropped,
    find_failed,
    find_failed_outside,
    find_of_old,
    find_wrong,
    measure_recovery,
    require_none,
)


def ok(invoke_s: float, end_s: float, *versions: str, **fields: Any) -> HistoryRequest:
    right = {"outcome": "ok", "ending": "answered", "judgement": "right", "versions": versions or ("1",)}
    return make_request(invoke_s, end_s, **{**right, **fields})


def failed(invoke_s: float, end_s: float, ending: str = "closed", **fields: Any) -> HistoryRequest:
    outcome = "unknown" if ending in {"closed", "cut-off", "timed-out"} else "fail"
    sent_s = None if ending == "unreachable" else invoke_s
    return make_request(invoke_s, end_s, **{"sent_s": sent_s, "outcome": outcome, "ending": ending, **fields})


def make_request(invoke_s: float, end_s: float, **fields: Any) -> HistoryRequest:
    return HistoryRequest(
        **{"client": 0, "case": "a", "connection": "new", "sent_s": invoke_s, **fields}, invoke_s=invoke_s, end_s=end_s
    )


def record(*requests: HistoryRequest) -> History:
    marks = (HistoryMark(name="kill", at_s=1.0), HistoryMark(name="ready", at_s=2.0))
    return History(head=HistoryHead(endpoint="x", clients=1), marks=marks, requests=requests)


def test_a_wrong_answer_and_one_of_another_are_found() -> None:
    wrong, crossed = ok(0.1, 0.2, judgement="wrong"), ok(0.3, 0.4, judgement="of-another")

    assert find_wrong(record(ok(0.0, 0.1), wrong, crossed, failed(1.1, 1.2))) == [wrong, crossed]
    assert find_wrong(record(ok(0.0, 0.1), failed(1.1, 1.2))) == []


def test_failures_outside_the_window_are_found() -> None:
    early, late = failed(0.8, 0.9), failed(2.1, 2.2, "refused")
    within = [failed(0.9, 1.1), failed(1.2, 1.3, "unreachable"), failed(1.9, 2.5, "timed-out")]

    assert find_failed_outside(record(early, *within, late), 1.0, 2.0) == [early, late]
    assert find_failed_outside(record(ok(0.1, 0.2), *within), 1.0, 2.0) == []
    assert find_failed(record(early, ok(0.1, 0.2), *within)) == [early, *within]


def test_what_was_sent_before_a_stop_must_be_answered() -> None:
    dropped = [failed(0.8, 1.1), failed(0.9, 1.2, "refused"), failed(0.95, 1.3, "cut-off")]
    allowed = [failed(0.99, 1.1, sent_s=1.01), failed(1.1, 1.2), failed(0.9, 1.0, "unreachable")]

    assert find_dropped(record(*dropped, *allowed, ok(0.9, 1.5)), 1.0) == dropped
    assert find_dropped(record(*allowed, ok(0.9, 1.5)), 1.0) == []


def test_what_was_sent_after_a_stop_must_be_told_so() -> None:
    abandoned = [failed(1.1, 9.0, "timed-out"), failed(1.2, 1.3, "cut-off"), failed(1.2, 9.0, "timed-out", sent_s=None)]
    polite = [failed(1.1, 1.2), failed(1.3, 1.4, "refused"), failed(1.5, 1.6, "unreachable"), ok(1.6, 1.7)]

    assert find_abandoned(record(*abandoned, *polite, failed(0.5, 9.0, "timed-out")), 1.0) == abandoned
    assert find_abandoned(record(*polite), 1.0) == []


def test_an_old_answer_after_an_update_is_found() -> None:
    old, either = ok(2.1, 2.2, "1"), ok(2.3, 2.4, "1", "2")
    allowed = [ok(1.9, 2.2, "1"), ok(2.5, 2.6, "2"), failed(2.7, 2.8), ok(5.1, 5.2, "1")]

    assert find_of_old(record(old, either, *allowed), "2", 2.0, 5.0) == [old]
    assert find_of_old(record(either, *allowed), "2", 2.0, 5.0) == []


def test_those_in_flight_are_counted() -> None:
    requests = [ok(0.9, 1.1), ok(0.8, 0.95), ok(0.99, 1.2, sent_s=1.05), failed(0.9, 1.3), ok(1.1, 1.2)]

    assert count_in_flight(record(*requests), 1.0) == 2


@pytest.mark.parametrize(
    ("requests", "recovery_s"),
    [
        ([ok(0.5, 0.6), ok(1.1, 1.2)], 0.0),
        ([failed(0.1, 0.2), ok(1.1, 1.2)], 0.0),
        ([failed(0.9, 1.1), failed(1.4, 1.5), ok(1.6, 1.75)], 0.75),
        # An answer in the midst of failures is no recovery.
        ([failed(1.1, 1.2), ok(1.3, 1.4), failed(1.5, 1.6), ok(1.8, 2.0)], 1.0),
        # One that is still waiting since before the recovery does not put it off.
        ([failed(1.0, 9.0, "timed-out"), ok(1.4, 1.5), ok(8.0, 8.1)], 0.5),
        ([ok(0.5, 0.6), failed(1.1, 1.2)], None),
    ],
)
def test_recovery_is_when_everything_is_answered_again(
    requests: list[HistoryRequest], recovery_s: float | None
) -> None:
    assert measure_recovery(record(*requests), 1.0) == (recovery_s if recovery_s is None else pytest.approx(recovery_s))


def test_all_that_was_found_is_told_at_once_with_the_marks() -> None:
    history = record(*[failed(0.1, 0.2, said="reset", client=number) for number in range(7)])
    told = describe_requests("were not answered", find_failed(history), history)

    assert "7 of 7 requests were not answered:" in told
    assert told.count("client ") == 5
    assert "client 4, asked a at 0.100 s, closed at 0.200 s: reset" in told
    assert "kill at 1.000 s, ready at 2.000 s" in told
    assert describe_requests("were not answered", [], history) == ""
    with pytest.raises(AssertionError, match="(?s)not answered.*else"):
        require_none("", told, "else")
    require_none("", "")
