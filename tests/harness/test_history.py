"""A history's file: what is written is read again, and its lines are what the schema says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from seatrial.history import History, HistoryHead, HistoryMark, HistoryRequest, read_history

HEAD = HistoryHead(endpoint="http://127.0.0.1:1", clients=2)


def make_request(invoke_s: float, end_s: float, **fields: Any) -> HistoryRequest:
    plain: dict[str, Any] = {"client": 0, "case": "a", "connection": "new", "outcome": "ok", "ending": "answered"}
    return HistoryRequest(**{**plain, "sent_s": invoke_s, **fields}, invoke_s=invoke_s, end_s=end_s)


HISTORY = History(
    head=HEAD,
    marks=(HistoryMark(name="kill", at_s=0.25),),
    requests=(
        make_request(0.1, 0.2, judgement="right", versions=("1",)),
        make_request(0.3, 0.4, outcome="unknown", ending="closed", said="ConnectionResetError", stale=True),
        make_request(0.5, 0.6, sent_s=None, outcome="fail", ending="unreachable"),
        make_request(0.7, 0.8, judgement="of-another"),
    ),
)


def test_what_is_written_is_read_again() -> None:
    assert read_history(HISTORY.encode()) == History(head=HEAD, marks=[*HISTORY.marks], requests=[*HISTORY.requests])


def test_lines_are_in_the_order_of_time_and_say_what_they_are() -> None:
    lines = [json.loads(line) for line in HISTORY.encode().splitlines()]

    assert [line["kind"] for line in lines] == ["history", "request", "mark", "request", "request", "request"]
    assert lines[0] == {"kind": "history", "endpoint": HEAD.endpoint, "clients": 2, "schema": "seatrial.history/1"}
    request_fields = {"kind", *HistoryRequest.__struct_fields__}
    assert all(set(line) == request_fields for line in lines if line["kind"] == "request")


def test_the_schema_says_what_each_field_is() -> None:
    schema = msgspec.json.schema(HistoryRequest)["$defs"]["HistoryRequest"]

    assert set(schema["required"]) >= {"kind", "client", "case", "invoke_s", "end_s", "outcome", "ending"}
    assert schema["properties"]["outcome"]["enum"] == ["fail", "ok", "unknown"]


def test_requests_are_counted_by_outcome() -> None:
    assert HISTORY.count() == {
        "asked": 4,
        "ok": 2,
        "fail": 1,
        "unknown": 1,
        "wrong_answers": 1,
        "stale_connections": 1,
    }


def test_a_mark_is_found_by_its_name() -> None:
    assert HISTORY.find_mark("kill") == 0.25
    with pytest.raises(KeyError):
        HISTORY.find_mark("ready")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "its first line is no head"),
        (b'{"kind":"mark","name":"kill","at_s":0.1}\n', "its first line is no head"),
        (b'{"kind":"history","endpoint":"x","clients":1,"schema":"seatrial.history/9"}\n', "of schema"),
        (b'{"kind":"else"}\n', "not a history"),
    ],
)
def test_what_is_no_history_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_history(data)
