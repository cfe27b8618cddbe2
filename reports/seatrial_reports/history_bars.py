"""Which bars stand for a history's requests: those answered right may become one, the others are each their own."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from seatrial.history import History, HistoryRequest

Kind = Literal["ok", "fail", "unknown", "wrong"]
Span = tuple[float, float]
MOST_ROWS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Puts seconds of a history on pixels of its drawing; `gap_px` is the least that parts two right answers."""

    begin_s: float
    end_s: float
    left_px: float
    width_px: float
    gap_px: float = 1.0

    def place(self, at_s: float) -> float:
        """Return where a moment lies."""
        return self.left_px + (at_s - self.begin_s) / (self.end_s - self.begin_s) * self.width_px

    def span(self, request: HistoryRequest) -> Span:
        """Return where a request begins and ends."""
        return self.place(request.invoke_s), self.place(max(request.invoke_s, request.end_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A client's requests by one kind of connection, in the order in which they began."""

    client: int
    connection: str
    requests: tuple[HistoryRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A request that was not answered right; `row` counts from 0."""

    row: int
    kind: Kind
    span: Span
    request: HistoryRequest


def find_kind(request: HistoryRequest) -> Kind:
    """Return its outcome, or that it was answered wrong."""
    return "wrong" if request.judgement in {"wrong", "of-another"} else request.outcome


def make_scale(history: History, left_px: float, width_px: float) -> Scale:
    """Return a scale from the history's beginning to the last that happened. Raises ValueError when that is no time."""
    moments = [mark.at_s for mark in history.marks]
    moments += [moment for each in history.requests for moment in (each.invoke_s, each.end_s)]
    begin_s, end_s = min(0.0, *moments, 0.0), max(0.0, *moments, 0.0)
    if not math.isfinite(end_s - begin_s):
        raise ValueError(f"it lasts from {begin_s} s to {end_s} s")
    return Scale(begin_s=begin_s, end_s=max(end_s, begin_s + 0.001), left_px=left_px, width_px=width_px)


def list_rows(history: History) -> tuple[list[Row], list[Row]]:
    """Return the rows that are drawn, and those for which there is no place: those with the fewest failures."""
    members: dict[tuple[int, str], list[HistoryRequest]] = defaultdict(list)
    for request in sorted(history.requests, key=lambda each: each.invoke_s):
        members[request.client, request.connection].append(request)
    rows = [Row(client=client, connection=how, requests=tuple(found)) for (client, how), found in members.items()]
    rows.sort(key=lambda row: (-count_failures([row]), row.client, row.connection))
    return sorted(rows[:MOST_ROWS], key=lambda row: (row.client, row.connection)), rows[MOST_ROWS:]


def count_failures(rows: Iterable[Row]) -> int:
    """Return how many of the rows' requests were not answered right."""
    return sum(find_kind(request) != "ok" for row in rows for request in row.requests)


def merge_right(rows: Sequence[Row], scale: Scale, most: int) -> tuple[list[list[Span]], float]:
    """Return each row's spans of right answers, and how many pixels part two at least.

    That is the scale's gap, doubled until there are no more than `most` spans in all; a row keeps one whatever `most` is.
    """
    spans = [[scale.span(each) for each in row.requests if find_kind(each) == "ok"] for row in rows]
    gap_px = scale.gap_px
    while True:
        merged = [_merge(each, gap_px) for each in spans]
        if sum(map(len, merged)) <= max(most, len(rows)) or gap_px > scale.width_px:
            return merged, gap_px
        gap_px *= 2


def list_failures(rows: Sequence[Row], scale: Scale) -> list[Bar]:
    """Return a bar for each request that was not answered right: none stands for two."""
    return [
        Bar(row=number, kind=kind, span=scale.span(request), request=request)
        for number, row in enumerate(rows)
        for request in row.requests
        if (kind := find_kind(request)) != "ok"
    ]


def choose_bars(bars: Sequence[Bar], most: int) -> list[Bar]:
    """Return `most` of the bars: wrong answers first, then what no other bar hides, then the rest, each evenly over the time."""
    levels: dict[tuple[bool, bool], list[int]] = defaultdict(list)
    seen: Counter[tuple[int, Kind, int]] = Counter()
    for index in sorted(range(len(bars)), key=lambda index: bars[index].span):
        bar = bars[index]
        place = (bar.row, bar.kind, int(bar.span[0]))
        levels[bar.kind != "wrong", seen[place] > 0].append(index)
        seen[place] += 1
    chosen: list[int] = []
    for _, level in sorted(levels.items()):
        room = most - len(chosen)
        chosen += level if len(level) <= room else [level[step * len(level) // room] for step in range(room)]
    return [bars[index] for index in sorted(chosen)]


def fit_bars(bars: Sequence[Bar], draw: Callable[[Bar, int], str], said_chars: Sequence[int], bytes_: int) -> list[str]:
    """Draw bars within a number of bytes: with as much of what was said as they all have room for, else fewer bars.

    Args:
        bars: what is drawn.
        draw: makes a bar's element, with so many characters of what was said.
        said_chars: how many to try, falling.
        bytes_: of all elements, at most.
    """
    for chars in said_chars:
        drawn = _draw_within(bars, draw, chars, bytes_)
        if len(drawn) == len(bars):
            return drawn
    longest = max(len(draw(bar, said_chars[-1]).encode()) for bar in bars)
    return [draw(bar, said_chars[-1]) for bar in choose_bars(bars, bytes_ // longest)]


def _draw_within(bars: Sequence[Bar], draw: Callable[[Bar, int], str], chars: int, bytes_: int) -> list[str]:
    """Draw bars until the bytes are used up."""
    drawn: list[str] = []
    for bar in bars:
        element = draw(bar, chars)
        bytes_ -= len(element.encode())
        if bytes_ < 0:
            break
        drawn.append(element)
    return drawn


def _merge(spans: Sequence[Span], gap_px: float) -> list[Span]:
    merged: list[Span] = []
    for left, right in sorted(spans):
        if merged and left - merged[-1][1] < gap_px:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged
