"""What was asked of a deployment around a fault, and what became of each question: a history, and its file.

As in Jepsen's histories, a question whose connection broke or timed out after it was sent has an outcome that nobody knows. The
file is JSON lines: a head, then marks and requests by the time at which they began, in seconds since the history's beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

HISTORY_SCHEMA: Final = "seatrial.history/1"
MOST_REQUESTS: Final = 20_000
"""In one history."""
MOST_SAID_CHARS: Final = 300
Outcome = Literal["ok", "fail", "unknown"]
Ending = Literal["answered", "refused", "unreachable", "closed", "cut-off", "timed-out"]
Judgement = Literal["right", "wrong", "of-another"]


class HistoryHead(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="history"
):
    """The first line: what the rest is about."""

    endpoint: Annotated[str, Meta(description="address that was asked")]
    clients: Annotated[int, Meta(description="that asked at the same time, one question after another each")]
    schema: str = HISTORY_SCHEMA


class HistoryMark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="mark"):
    """Something that was done to the deployment: kill, killed, ready, update, updated, stop, stopped."""

    name: str
    at_s: float


class HistoryRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="request"
):
    """One question of one client."""

    client: int
    case: Annotated[str, Meta(description="name of the golden case")]
    connection: Annotated[Literal["new", "kept"], Meta(description="one of its own, or the client's one")]
    invoke_s: float
    sent_s: Annotated[float | None, Meta(description="when its first bytes were out; null when none ever were")]
    end_s: float
    outcome: Annotated[
        Outcome, Meta(description="ok: answered; fail: it was not; unknown: nobody knows whether it was")
    ]
    ending: Annotated[
        Ending,
        Meta(
            description="answered; refused (in the wire's own way); unreachable (nothing was sent); closed (sent, and not a byte "
            "came back); cut-off (in the midst of the answer); timed-out"
        ),
    ]
    judgement: Annotated[
        Judgement | None, Meta(description="of an answer; of-another: another case's golden one; null without one")
    ] = None
    versions: Annotated[tuple[str, ...], Meta(description="of the model, whose golden answer it is")] = ()
    said: Annotated[str, Meta(description="what came instead of a right answer")] = ""
    stale: Annotated[bool, Meta(description="its kept connection had been closed, and it was sent again")] = False


_Line = HistoryHead | HistoryMark | HistoryRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Marks and requests, each by the time at which it began."""

    head: HistoryHead
    marks: Sequence[HistoryMark]
    requests: Sequence[HistoryRequest]

    def find_mark(self, name: str) -> float:
        """Return when the first mark of this name was made. Raises KeyError."""
        for mark in self.marks:
            if mark.name == name:
                return mark.at_s
        raise KeyError(name)

    def count(self) -> dict[str, int]:
        """Return how many requests there are, and how many of each outcome."""
        outcomes = Counter(each.outcome for each in self.requests)
        wrong = Counter(each.judgement for each in self.requests)
        return {
            "asked": len(self.requests),
            **{name: outcomes[name] for name in ("ok", "fail", "unknown")},
            "wrong_answers": wrong["wrong"] + wrong["of-another"],
            "stale_connections": sum(each.stale for each in self.requests),
        }

    def encode(self) -> bytes:
        """Return the file."""
        timed: list[tuple[float, _Line]] = [(mark.at_s, mark) for mark in self.marks]
        timed += [(request.invoke_s, request) for request in self.requests]
        timed.sort(key=lambda each: each[0])
        return msgspec.json.Encoder().encode_lines([self.head, *(line for _, line in timed)])


def read_history(data: bytes) -> History:
    """Read a file. Raises ValueError when it is none."""
    try:
        lines = msgspec.json.Decoder(_Line).decode_lines(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a history: {error}") from error
    if not lines or not isinstance(lines[0], HistoryHead):
        raise ValueError("not a history: its first line is no head")
    if lines[0].schema != HISTORY_SCHEMA:
        raise ValueError(f"a history of schema {lines[0].schema!r}, this version reads {HISTORY_SCHEMA!r}")
    return History(
        head=lines[0],
        marks=[line for line in lines if isinstance(line, HistoryMark)],
        requests=[line for line in lines if isinstance(line, HistoryRequest)],
    )
