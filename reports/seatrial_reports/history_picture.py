"""A history as a picture: a row a client, a bar a request, a line a mark, over the seconds since the history began."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from seatrial.history import History, HistoryMark
from seatrial_reports.history_bars import (
    Bar,
    Kind,
    Row,
    Scale,
    Span,
    count_failures,
    fit_bars,
    list_failures,
    list_rows,
    make_scale,
    merge_right,
)
from seatrial_reports.text import clean_text

MOST_BYTES: Final = 150_000
"""Of one picture, as UTF-8."""
MOST_MARKS: Final = 40
_MOST_RIGHT_BARS = 2_000
_SAID_CHARS = (300, 120, 60, 30, 0)
_NAME_CHARS = 24
_CLIENT_DIGITS = 8
_WIDTH_PX = 1100.0
_LEFT_PX = 90.0
_RIGHT_PX = 10.0
_ROW_PX = 20.0
_LANE_PX = 15.0
_MOST_LANES = 6
_CHARACTER_PX = 7.0
_FOOT_PX = 62.0
# A bar that is shorter would not be seen, or not be told from another kind's.
_LEAST_PX: dict[Kind, float] = {"ok": 0.7, "fail": 1.2, "unknown": 3.0, "wrong": 5.0}
_LEGEND: dict[Kind, str] = {
    "ok": "ok: answered right",
    "fail": "fail: not answered",
    "unknown": "unknown: nobody can know",
    "wrong": "wrong answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An SVG element to stand inside an HTML page, and what is not in it, in sentences."""

    svg: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """A mark with its place: lanes count from the top."""

    mark: HistoryMark
    name: str
    at_px: float
    lane: int
    is_left: bool


def draw_history(history: History) -> Picture:
    """Draw a history: same history, same bytes, at most `MOST_BYTES`.

    What was answered right is drawn as one bar where less than a pixel parts it; all else has a bar of its own, with a title that
    says what came. Where there is no room for all of these, the notes say how many are missing.

    Raises:
        ValueError: its times are no times.
    """
    scale = make_scale(history, _LEFT_PX, _WIDTH_PX - _LEFT_PX - _RIGHT_PX)
    rows, left_out = list_rows(history)
    labels = list(_place_labels(sorted(history.marks, key=lambda mark: mark.at_s)[:MOST_MARKS], scale))
    top_px = _LANE_PX * (1 + max((label.lane for label in labels), default=0)) + 4
    foot_px = top_px + _ROW_PX * len(rows)
    right, gap_px = merge_right(rows, scale, _MOST_RIGHT_BARS)
    head = (
        f'<svg class="history" role="img" aria-label="Requests by client over time" '
        f'viewBox="0 0 {_WIDTH_PX:g} {foot_px + _FOOT_PX:g}">'
    )
    parts = [
        *_draw_axis(scale, top_px, foot_px),
        *(
            _draw_row(row, spans, top_px + _ROW_PX * (place + 0.5))
            for place, (row, spans) in enumerate(zip(rows, right, strict=True))
        ),
    ]
    after = [*(_draw_mark(label, foot_px) for label in labels), *_draw_legend(foot_px + 50), "</svg>"]
    room = MOST_BYTES - sum(len(part.encode()) + 1 for part in (head, *parts, *after))
    # What is drawn last lies on top.
    failures = sorted(list_failures(rows, scale), key=lambda bar: bar.kind == "wrong")
    bars = fit_bars(failures, lambda bar, chars: _draw_bar(bar, top_px, chars), _SAID_CHARS, room - len(failures))
    notes = _list_notes(len(failures) - len(bars), left_out, gap_px, len(history.marks) - len(labels))
    return Picture(svg="\n".join((head, *parts, *bars, *after)), notes=tuple(notes))


def _list_notes(hidden: int, rows: Sequence[Row], gap_px: float, marks: int) -> Iterator[str]:
    if hidden:
        yield f"{hidden:,} requests that were not answered right are not drawn, for want of room"
    if rows:
        requests, failures = sum(len(row.requests) for row in rows), count_failures(rows)
        yield f"{len(rows):,} more rows are not drawn: {requests:,} requests, {failures:,} of them not answered right"
    if gap_px > 1:
        yield f"right answers with less than {gap_px:g} pixels between them are drawn as one bar"
    if marks > 0:
        yield f"{marks:,} later marks are not drawn"


def _draw_axis(scale: Scale, top_px: float, foot_px: float) -> Iterator[str]:
    for at_s in _list_ticks(scale.begin_s, scale.end_s):
        x = _show(scale.place(at_s))
        yield f'<path class="grid" d="M{x} {top_px:g}V{foot_px:g}"/>'
        yield f'<text class="tick" x="{x}" y="{foot_px + 14:g}">{at_s:g}</text>'
    yield f'<text class="axis" x="{_LEFT_PX:g}" y="{foot_px + 30:g}">seconds since the history began</text>'


def _list_ticks(begin_s: float, end_s: float) -> list[float]:
    """Return about ten moments at round numbers."""
    rough = (end_s - begin_s) / 10
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    first, last = math.ceil(begin_s / step), math.floor(end_s / step)
    return [number * step for number in range(first, last + 1)]


def _draw_row(row: Row, spans: Sequence[Span], middle_px: float) -> str:
    """Draw a client's name, the line of a kept connection, and its right answers as one path."""
    label = f'<text x="{_LEFT_PX - 8:g}" y="4">{str(row.client)[:_CLIENT_DIGITS]} {row.connection}</text>'
    line = (
        f'<path class="connection" d="M{_LEFT_PX:g} 0H{_WIDTH_PX - _RIGHT_PX:g}"/>' if row.connection == "kept" else ""
    )
    moves = "".join(f"M{_show(left)} 0h{_show(max(right - left, _LEAST_PX['ok']))}" for left, right in spans)
    bars = f'<path class="ok" d="{moves}"/>' if moves else ""
    return f'<g class="row {row.connection}" transform="translate(0 {middle_px:g})">{label}{line}{bars}</g>'


def _draw_bar(bar: Bar, top_px: float, said_chars: int) -> str:
    left, right = bar.span
    request = bar.request
    said = " ".join(clean_text(request.said).split())
    said = said if len(said) <= said_chars else f"{said[:said_chars]}…"
    title = f"{request.invoke_s:.3f} to {request.end_s:.3f} s, {request.ending}{': ' if said_chars and said else ''}"
    path = _shape(bar.kind, left, max(right - left, _LEAST_PX[bar.kind]), top_px + _ROW_PX * (bar.row + 0.5))
    return f'<path class="{bar.kind}" d="{path}"><title>{escape(title + (said if said_chars else ""))}</title></path>'


def _shape(kind: Kind, left: float, width: float, middle: float) -> str:
    """Return the outline by which a kind is known without its colour: a box, filled or not, or an hourglass."""
    x, w = _show(left), _show(width)
    if kind == "wrong":
        return f"M{x} {middle - 9:g}h{w}l-{w} 18h{w}z"
    if kind == "ok":
        return f"M{x} {middle:g}h{w}"
    return f"M{x} {middle - 6:g}h{w}v12h-{w}z"


def _place_labels(marks: Sequence[HistoryMark], scale: Scale) -> Iterator[_Label]:
    """Give each label the first lane in which it hides no other."""
    ends = [-math.inf] * _MOST_LANES
    for mark in marks:
        name = " ".join(clean_text(mark.name).split())
        name = name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]}…"
        at_px, length_px = scale.place(mark.at_s), _CHARACTER_PX * len(name) + 8
        is_left = at_px + length_px > _WIDTH_PX
        begin_px = at_px - length_px if is_left else at_px
        lane = next((number for number, end_px in enumerate(ends) if end_px <= begin_px), _MOST_LANES - 1)
        ends[lane] = begin_px + length_px
        yield _Label(mark=mark, name=name, at_px=at_px, lane=lane, is_left=is_left)


def _draw_mark(label: _Label, foot_px: float) -> str:
    x, y = _show(label.at_px), label.lane * _LANE_PX
    side = ' class="left"' if label.is_left else ""
    text_px = label.at_px - 4 if label.is_left else label.at_px + 4
    return (
        f'<g class="mark"><title>{escape(label.name)} at {label.mark.at_s:.3f} s</title>'
        f'<path d="M{x} {y:g}V{foot_px:g}"/><text{side} x="{_show(text_px)}" y="{y + 11:g}">{escape(label.name)}</text></g>'
    )


def _draw_legend(middle_px: float) -> Iterator[str]:
    yield '<g class="key">'
    x = _LEFT_PX
    for kind, words in _LEGEND.items():
        yield f'<path class="{kind}" d="{_shape(kind, x, 12, middle_px)}"/>'
        yield f'<text x="{x + 18:g}" y="{middle_px + 4:g}">{words}</text>'
        x += 40 + _CHARACTER_PX * len(words)
    yield f'<path class="connection" d="M{x:g} {middle_px:g}h24"/>'
    yield f'<text x="{x + 30:g}" y="{middle_px + 4:g}">kept connection; else a new one each</text>'
    yield "</g>"


def _show(px: float) -> str:
    return f"{px:.1f}".removesuffix(".0")
