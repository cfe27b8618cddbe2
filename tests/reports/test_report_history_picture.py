"""The drawing of a history, by parsing its SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from seatrial.history import MOST_REQUESTS, MOST_SAID_CHARS, HistoryMark
from seatrial_reports.history_bars import MOST_ROWS
from seatrial_reports.history_picture import MOST_BYTES, MOST_MARKS, draw_history

KINDS = {"fail", "unknown", "wrong"}


def read_rows(svg):
    """Return what a row is called, the (left, right) of its right answers, and whether a kept connection runs through it."""
    rows = {}
    for group in ET.fromstring(svg).findall("g"):
        if (group.get("class") or "").startswith("row"):
            ok = group.find("path[@class='ok']")
            found = re.findall(r"M([\d.]+) 0h([\d.]+)", "" if ok is None else ok.get("d"))
            spans = [(float(left), float(left) + float(width)) for left, width in found]
            rows[group.find("text").text] = (spans, group.find("path[@class='connection']") is not None)
    return rows


def read_failures(svg):
    """Return (kind, left, y, title) of every bar of its own."""
    bars = []
    for path in ET.fromstring(svg).findall("path"):
        if path.get("class") in KINDS:
            left, y = re.match(r"M([\d.]+) ([\d.]+)", path.get("d")).groups()
            bars.append((path.get("class"), float(left), float(y), path.find("title").text))
    return bars


def read_marks(svg):
    return [
        (mark.find("text").text, float(re.match(r"M([\d.]+)", mark.find("path").get("d"))[1]))
        for mark in ET.fromstring(svg).iter("g")
        if mark.get("class") == "mark"
    ]


def test_every_request_has_its_bar_in_the_row_of_its_client(histories):
    picture = draw_history(histories.make_fault())
    rows = read_rows(picture.svg)

    assert {name: (len(spans), kept) for name, (spans, kept) in rows.items()} == {
        "0 kept": (5, True),
        "1 new": (2, False),
    }
    assert sorted(kind for kind, *_ in read_failures(picture.svg)) == ["fail", "fail", "unknown", "wrong"]
    assert picture.notes == ()


def test_bars_and_marks_lie_where_they_were_in_time(histories):
    svg = draw_history(histories.make_fault()).svg
    spans, _ = read_rows(svg)["0 kept"]
    (_, kill_px), (_, ready_px) = read_marks(svg)
    by_title = {title: left for _, left, _, title in read_failures(svg)}
    pixels_per_s = (ready_px - kill_px) / 1.5

    assert [name for name, _ in read_marks(svg)] == ["kill", "ready"]
    assert spans == sorted(spans)
    assert spans[3][1] < kill_px < min(by_title.values())
    assert ready_px < spans[4][0]
    assert spans[1][0] - spans[0][0] == pytest.approx(0.5 * pixels_per_s, abs=0.3)
    assert spans[0][1] - spans[0][0] == pytest.approx(0.1 * pixels_per_s, abs=0.3)
    assert by_title["2.200 to 2.600 s, refused: status 503"] - kill_px == pytest.approx(0.2 * pixels_per_s, abs=0.3)


def test_a_title_says_what_came_instead_of_a_right_answer(histories):
    titles = {title for *_, title in read_failures(draw_history(histories.make_fault()).svg)}

    assert "2.100 to 2.300 s, closed: ConnectionResetError: <peer> & all" in titles
    assert "4.000 to 4.200 s, answered: probabilities[0] is 0.5, expected 0.1" in titles


def test_outcomes_differ_in_shape_and_the_legend_shows_each(histories):
    root = ET.fromstring(draw_history(histories.make_fault()).svg)
    (key,) = [group for group in root.iter("g") if group.get("class") == "key"]
    shapes = {path.get("class"): re.sub(r"[\d.]+", "", path.get("d")) for path in key.findall("path")}

    assert set(shapes) == {*KINDS, "ok", "connection"}
    assert len({shapes["ok"], shapes["fail"], shapes["wrong"]}) == 3
    assert "wrong answer" in {text.text for text in key.findall("text")}


def test_right_answers_less_than_a_pixel_apart_are_one_bar(histories):
    # 100 s on 1000 pixels: a tenth of a second is a pixel.
    parted = histories.make(histories.ask(0.0, 10.0), histories.ask(10.11, 20.0), histories.ask(99.0, 100.0))
    joined = histories.make(histories.ask(0.0, 10.0), histories.ask(10.09, 20.0), histories.ask(99.0, 100.0))

    assert len(read_rows(draw_history(parted).svg)["0 kept"][0]) == 3
    assert read_rows(draw_history(joined).svg)["0 kept"][0] == [(90.0, 290.0), (1080.0, 1090.0)]


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "fail", "ending": "refused"},
        {"outcome": "unknown", "ending": "closed"},
        {"judgement": "wrong"},
        {"judgement": "of-another"},
    ],
)
def test_what_was_not_answered_right_is_never_merged_away(histories, changes):
    bad = [histories.ask(50.0 + number * 0.0002, 50.0001 + number * 0.0002, **changes) for number in range(100)]
    history = histories.make(histories.ask(0.0, 50.0), *bad, histories.ask(50.03, 100.0))

    assert len(read_failures(draw_history(history).svg)) == len(bad)


def test_a_full_history_of_right_answers_is_small(histories):
    requests = [
        histories.ask(at_s, at_s + 0.004, client=number % 40)
        for number in range(MOST_REQUESTS)
        for at_s in [number // 40 * 0.2]
    ]
    picture = draw_history(histories.make(*requests, clients=40))

    assert len(read_rows(picture.svg)) == 40
    assert len(picture.svg.encode()) <= MOST_BYTES
    assert any("drawn as one bar" in note for note in picture.notes)


def test_a_full_history_of_failures_is_small_and_says_how_many_are_missing(histories):
    requests = [
        histories.ask(
            number * 0.01, number * 0.01 + 0.02, client=number % 8, outcome="fail", ending="refused", said="é&" * 150
        )
        for number in range(MOST_REQUESTS)
    ]
    wrong = [histories.ask(100.0 + number, 100.5 + number, judgement="wrong") for number in range(50)]
    picture = draw_history(histories.make(*requests[: MOST_REQUESTS - len(wrong)], *wrong, clients=8))
    drawn = read_failures(picture.svg)
    (missing,) = [int(note.split()[0].replace(",", "")) for note in picture.notes if "for want of room" in note]

    assert len(picture.svg.encode()) <= MOST_BYTES
    assert len(drawn) + missing == MOST_REQUESTS
    assert len(drawn) > 1000
    assert sum(kind == "wrong" for kind, *_ in drawn) == len(wrong)
    # No stretch of the time is left out.
    lefts = sorted(left for _, left, *_ in drawn)
    assert lefts[0] < 95
    assert max(then - first for first, then in pairwise(lefts)) < 5


def test_some_failures_are_all_drawn_and_what_was_said_gives_way_first(histories):
    said = "x" * MOST_SAID_CHARS
    few = [histories.ask(n, n + 0.5, outcome="fail", ending="refused", said=said) for n in range(50)]
    many = [histories.ask(n, n + 0.5, outcome="fail", ending="refused", said=said) for n in range(800)]

    assert all(title.endswith(said) for *_, title in read_failures(draw_history(histories.make(*few)).svg))
    titles = [title for *_, title in read_failures(draw_history(histories.make(*many)).svg)]
    assert len(titles) == 800
    assert all(re.search(r"refused: x{30,}…$", title) for title in titles)


def test_rows_with_failures_come_before_rows_without(histories):
    right = [histories.ask(0.0, 1.0, client=number) for number in range(MOST_ROWS + 20)]
    failed = histories.ask(2.0, 3.0, client=MOST_ROWS + 20, outcome="fail", ending="refused")
    picture = draw_history(histories.make(*right, failed))

    assert len(read_rows(picture.svg)) == MOST_ROWS
    assert len(read_failures(picture.svg)) == 1
    assert picture.notes == ("21 more rows are not drawn: 21 requests, 0 of them not answered right",)


def test_marks_that_are_close_do_not_hide_one_anothers_names(histories):
    svg = draw_history(histories.make(histories.ask(0.0, 10.0), stop=9.99, stopped=9.995, gone=10.0)).svg
    texts = [mark.find("text") for mark in ET.fromstring(svg).iter("g") if mark.get("class") == "mark"]

    assert len({text.get("y") for text in texts}) == 3
    assert {text.get("class") for text in texts} == {"left"}


def test_hostile_names_and_any_number_of_marks_stay_text(histories):
    history = histories.make(
        histories.ask(0.0, 1.0, outcome="fail", ending="refused", said="</title><script>\x00\ud800")
    )
    history.marks.extend(HistoryMark(name=f"<b>{number}" + "&" * 999, at_s=number / 100) for number in range(100))
    picture = draw_history(history)

    assert read_failures(picture.svg)[0][3].endswith("refused: </title><script>␀\ufffd")
    assert len(read_marks(picture.svg)) == MOST_MARKS
    assert f"{100 - MOST_MARKS} later marks are not drawn" in picture.notes
    assert len(picture.svg.encode()) <= MOST_BYTES


@pytest.mark.parametrize("marks", [{}, {"kill": 0.0}, {"kill": -0.5}])
def test_a_history_without_requests_is_drawn(histories, marks):
    assert [name for name, _ in read_marks(draw_history(histories.make(**marks)).svg)] == list(marks)


def test_times_that_are_none_are_refused(histories):
    with pytest.raises(ValueError, match="it lasts from"):
        draw_history(histories.make(histories.ask(-1.7e308, 1.7e308)))


def test_the_same_history_gives_the_same_bytes_and_needs_nothing_else(histories):
    svg = draw_history(histories.make_fault()).svg

    assert svg == draw_history(histories.make_fault()).svg
    assert not re.search("style|script|href|url|xmlns|#[0-9a-f]{3}", svg)
