"""report.md: as a whole once, then by what it must hold."""

from __future__ import annotations

import pytest

from seatrial_reports.markdown import escape_markdown, quote_code, write_markdown
from seatrial_reports.quantities import DASH

WHOLE = """\
# ✗ Sea trial: fail

At least one MUST or SHOULD check failed. Exit code 1.

- docker: G01 failed

Model: **digits** version 1, 100 golden cases. Trial `20261122-101500-ab12`, 2026-11-22T10:15:00Z, 93.5 s. seatrial 0.1.0, \
Python 3.11.7, Linux-6.18-x86_64, 2 CPUs, 8.0 GiB of memory.

| Target | Status | Golden cases right | build | publish | start | ready | first-answer | Fidelity | Memory peak | Notes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| docker | ✗ fail | 100 of 100 | 5.40 s | 0.75 s | 1.20 s | 2.25 s | 0.0420 s | emulated: registry | 192.0 MiB | no \\| limit |
| kubernetes | ○ not-run | {dash} | {dash} | {dash} | {dash} | {dash} | {dash} | not recorded | {dash} |  |

{dash}: there is no such number here; report.html says why for each.

## Checks by target

| Check | Level | docker | kubernetes |
| --- | --- | --- | --- |
| **Of your own** |  |  |  |
| G01 golden answers | MUST | ✗ fail | {dash} |

✗ fail: the target does not do what the check demands; {dash}: no result.

## Failures

- ✗ fail: **docker** G01 golden answers (MUST): case 12: 0.25, expected 0.75
  Reproduce: `seatrial run --target docker --check G01`

## Not run

- **kubernetes** kind: no kind on the PATH. Fix: `seatrial provision --target kubernetes`

## Fidelity

| Target | Real | Emulated | Absent |
| --- | --- | --- | --- |
| docker | engine; image; published port | registry | none |
""".replace("{dash}", DASH)


def test_the_whole_report(trials, tmp_path):
    wrong = trials.make_check(status="fail", message="case 12: 0.25,\n  expected 0.75")
    docker = trials.make_target(status="fail", checks=(wrong,), notes=("no | limit",))
    targets = {"docker": docker, "kubernetes": trials.make_not_run()}
    run = trials.make_run(targets, verdict="fail", exit_code=1, causes=("docker: G01 failed",))
    assert write_markdown(run, tmp_path).read_text(encoding="utf-8") == WHOLE


def test_an_empty_trial_says_that_nothing_ran(trials, tmp_path):
    text = write_markdown(trials.make_run({}, verdict="error", exit_code=3), tmp_path).read_text(encoding="utf-8")
    assert "Nothing ran" in text
    assert "Exit code 3" in text


def test_a_failed_deployment_and_expected_failures_are_listed(trials, tmp_path):
    seven = write_markdown(trials.make_seven(), tmp_path).read_text(encoding="utf-8")
    assert "**mlflow** deployment (exit code 6): the server did not become ready within 30 s" in seven
    every = write_markdown(trials.make_every_status(), tmp_path).read_text(encoding="utf-8")
    assert "## Expected failures\n\n- ≈ expected-failure: **docker** S04" in every
    assert "S05 ends as not-run: because of not-run" in every.partition("## Not run")[2]


def test_it_fits_a_step_summary_however_much_fails(trials, tmp_path):
    checks = tuple(trials.make_check(id=f"C{n}", status="fail", message="|" * 100_000) for n in range(60))
    path = write_markdown(trials.make_run({"docker": trials.make_target(checks=checks)}), tmp_path)
    assert path.stat().st_size < 200_000
    assert "… and 10 more in report.html." in path.read_text(encoding="utf-8")


def test_the_matrix_has_a_row_for_each_check_in_its_group_and_a_bound(trials, tmp_path):
    text = write_markdown(trials.make_wide(), tmp_path).read_text(encoding="utf-8")
    table = text.partition("## Checks by target")[2].partition("##")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 9 + 60
    assert {row.count(" | ") for row in rows} == {9}
    assert rows[2].startswith("| **Contract** |")
    checks = tuple(trials.make_check(id=f"test_{n}", title="|" * 10_000) for n in range(2000))
    path = write_markdown(trials.make_run({"docker": trials.make_target(checks=checks)}), tmp_path)
    assert path.stat().st_size < 200_000
    assert "… and more in report.html." in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("![x](http://y)", "!\\[x\\](http://y)"),
        ("one\n# two", "one # two"),
        ("# heading", "\\# heading"),
        ("worst_error and _this_", "worst_error and \\_this\\_"),
        ("$x$ `y`", "&#36;x&#36; \\`y\\`"),
        ("\x1b[31mred\x00\ud800", "red␀\ufffd"),
    ],
)
def test_markup_in_text_is_shown_not_obeyed(raw, shown):
    assert escape_markdown(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"), [("a b", "`a b`"), ("a`b``c", "```a`b``c```"), ("`x`", "`` `x` ``"), ("a\nb", "`a b`")]
)
def test_no_backtick_ends_a_code_span(raw, shown):
    assert quote_code(raw) == shown
