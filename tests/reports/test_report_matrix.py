"""The matrix of checks and targets."""

from __future__ import annotations

import pytest

from seatrial_reports.html import write_html
from seatrial_reports.matrix import NO_RESULT, list_groups, list_meanings, say_first


def test_checks_stand_in_their_groups_whatever_the_order_they_came_in(trials):
    groups = list_groups(trials.make_wide())
    assert [group.name for group in groups][:3] == ["Contract", "Correctness", "Bad input"]
    assert sum(len(group.rows) for group in groups) == 60
    assert [row.id for row in groups[1].rows] == [f"R{number:02}" for number in range(1, 8)]
    assert {len(row.cells) for group in groups for row in group.rows} == {8}


def test_a_check_without_a_result_on_a_target_says_so(trials):
    run = trials.make_run({"docker": trials.make_target(), "kubernetes": trials.make_not_run()})
    ((row,),) = (group.rows for group in list_groups(run))
    assert (row.cells[0].status, row.cells[0].anchor) == ("pass", "check-1-1")
    assert (row.cells[1].status, row.cells[1].anchor, row.cells[1].why) == ("", "", NO_RESULT)


def test_of_several_results_the_worst_is_shown_with_its_own_evidence(trials):
    statuses = ("pass", "unsupported", "fail", "not-run")
    checks = tuple(trials.make_check(id="test_mine", status=status, message=f"{status}!") for status in statuses)
    ((row,),) = (group.rows for group in list_groups(trials.make_run({"docker": trials.make_target(checks=checks)})))
    assert [(cell.status, cell.why, cell.anchor) for cell in row.cells] == [("fail", "fail!", "check-1-3")]


def test_the_legend_has_what_is_shown_and_no_more(trials):
    assert list(list_meanings(list_groups(trials.make_run()))) == ["pass"]
    assert len(list_meanings(list_groups(trials.make_every_status()))) == 7


def test_every_cell_of_the_page_says_why_and_leads_to_its_check(trials, tmp_path, read_page):
    run = trials.make_wide()
    page = read_page(write_html(run, tmp_path))
    links = list(page.find(".//section[@id='matrix']").iter("a"))
    assert len(links) == 60 * 8
    rows = {row.get("id"): "".join(row.itertext()) for row in page.iter("tr") if row.get("id")}
    names = list(run.targets)
    for link in links:
        _, number, place = link.get("href").split("-")
        check = run.targets[names[int(number) - 1]].checks[int(place) - 1]
        assert check.id in rows[link.get("href").removeprefix("#")]
        assert link.get("title") == (say_first(check.message) or "what the check demands holds")


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("", ""),
        ("It broke. Then more.", "It broke."),
        ("1.5 of 2 e.g.x hold\nthen evidence", "1.5 of 2 e.g.x hold"),
        ("no end", "no end"),
    ],
)
def test_the_first_sentence_of_a_message(message, first):
    assert say_first(message) == first
