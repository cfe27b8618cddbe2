"""report.html, by parsing it: what it says, what it escapes, and that it needs nothing but itself."""

from __future__ import annotations

import json
import re
import sys

import pytest

from seatrial.errors import HarnessError, UnmetRequirementError
from seatrial.records import FidelityRecord, decode_run, encode_run
from seatrial_reports import html, timeline
from seatrial_reports.html import write_html
from seatrial_reports.quantities import DASH

HOSTILE = (
    "</script><script>alert('x')</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\x00 {{ 7*7 }} ]]> &amp; \"'"
)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def read_table(page, section):
    table = page.find(f".//section[@id='{section}']//table")
    return [[text_of(cell) for cell in row] for row in table.iter("tr")]


def test_a_summary_row_says_status_golden_answers_phases_fidelity_and_memory(trials, tmp_path, read_page):
    header, *rows = read_table(read_page(write_html(trials.make_seven(), tmp_path)), "summary")
    assert header == ["Target", "Status", "Golden cases right", "Build", "Publish", "Start", "Ready", "First answer",
                      "Memory peak", "Fidelity", "Notes"]  # fmt: skip
    by_target = {row[0]: row[1:] for row in rows}
    assert by_target["docker"] == ["✓ pass", "100 of 100", "14.0 s", "1.95 s", "3.12 s", "5.85 s", "0.11 s", "192.0 MiB",
                                   "emulated: registry", ""]  # fmt: skip
    assert by_target["gradio"][1] == "97 of 100"
    assert by_target["gradio"][-1] == "not comparable: no CPU limit here"
    assert by_target["kubernetes"][2] == f"{DASH} (not run: kind: no kind on the PATH)"


def test_a_dash_says_why_there_is_no_number(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_seven(), tmp_path))
    dashes = [element for element in page.iter("span") if element.get("class") == "none"]
    assert dashes
    assert all(len(dash.get("title")) > 10 for dash in dashes)
    assert not re.search(
        r"\bNone\b|\bnan\b|\bnull\b", "".join(text_of(e) for e in page.iter("section")).replace("None.", "")
    )


def test_verdict_causes_failures_and_missing_things_stand_in_words(trials, tmp_path, read_page):
    run = trials.make_seven()
    page = read_page(write_html(run, tmp_path))
    header = text_of(page.find(".//header"))
    assert "error A deployment failed" in header
    assert all(cause in header for cause in run.causes)
    failures = text_of(page.find(".//section[@id='failures']"))
    assert "97 of 100 cases right; first wrong: case 12" in failures
    assert "seatrial run --target gradio --check R01" in failures
    assert "the server did not become ready within 30 s" in failures
    assert "seatrial provision --target kubernetes" in text_of(page.find(".//section[@id='not-run']"))


def test_every_status_stands_in_the_matrix_and_leads_to_its_check(trials, tmp_path, read_page):
    run = trials.make_every_status()
    page = read_page(write_html(run, tmp_path))
    rows = [row for row in read_table(page, "matrix")[1:] if len(row) > 1]
    assert [row[2].split()[1] for row in rows] == [check.status for check in run.targets["docker"].checks]
    targets = {element.get("id") for element in page.iter()}
    links = [link.get("href") for link in page.iter("a") if link.get("href").startswith("#")]
    assert len(links) > len(rows)
    assert {link.removeprefix("#") for link in links} <= targets


def test_a_target_section_tells_fidelity_logs_limits_and_leftovers(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_seven(), tmp_path))
    sections = {
        text_of(s.find("h2")).split()[0]: text_of(s) for s in page.iter("section") if s.get("class") == "target"
    }
    assert list(sections) == ["inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio"]
    assert "memory not limited" in sections["docker"]
    assert "Real engine image published port".replace(" ", "") in sections["docker"].replace(" ", "")
    assert "address already in use" in sections["mlflow"]
    conditions = text_of(page.find(".//section[@id='conditions']"))
    assert "container 4f1c2d" in conditions
    assert 'targets.docker.image"mine:1"' in conditions.replace(" ", "")


def test_an_empty_trial_has_a_report_that_says_so(trials, tmp_path, read_page):
    run = trials.make_run({}, verdict="error", exit_code=3, causes=("nothing ran",), model=None, duration_s=0.0)
    page = read_page(write_html(run, tmp_path))
    assert "Nothing ran" in text_of(page.find(".//header"))
    assert "No target was run" in text_of(page.find(".//section[@id='summary']"))
    assert page.find(".//svg") is None


@pytest.mark.parametrize("text", [HOSTILE, "\ud800lone", "<!--<script>", "\u202egnp.exe"])
def test_hostile_text_stays_text_wherever_it_stands(trials, tmp_path, read_page, text):
    check = trials.make_check(
        status="fail", id=text, title=text, message=text, source=text, reproduce=text, facts={text: text}
    )
    target = trials.make_target(
        checks=(check,), notes=(text,), fidelity=FidelityRecord(real=(text,), emulated=(text,), absent=(text,)),
        metrics={text: None}, phases_s={text: 1.0}, timeline=trials.make_timeline(text, 0.0, {text: 1.0}),
        not_run=trials.make_not_run(text).not_run, errors=trials.make_failed_deployment(text, logs=text).errors,
    )  # fmt: skip
    run = trials.make_run(
        {text: target}, causes=(text,), settings={text: {text: text}}, command=(text,), verdict="fail"
    )
    path = write_html(run, tmp_path)
    page = read_page(path)
    assert [script.get("type") for script in page.iter("script")] == ["application/json", None]
    assert not list(page.iter("img"))
    assert not any(name.startswith("on") for element in page.iter() for name in element.attrib)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff]", path.read_text(encoding="utf-8"))


def test_the_hostile_run_inside_is_still_the_whole_run(trials, tmp_path, read_page):
    run = trials.make_run({"docker": trials.make_target(checks=(trials.make_check(message=HOSTILE),))})
    page = read_page(write_html(run, tmp_path))
    assert decode_run(page.find(".//script[@id='run']").text.encode()) == run


def test_the_run_inside_is_json_even_with_lone_surrogates(trials, tmp_path, read_page):
    run = trials.make_run({"docker": trials.make_target(notes=("\udcff",), metrics={"rate_per_s": float("nan")})})
    page = read_page(write_html(run, tmp_path))
    assert json.loads(page.find(".//script[@id='run']").text)["targets"]["docker"]["notes"] == ["?"]


def test_a_megabyte_of_message_is_shown_by_its_beginning_and_its_end(trials, tmp_path, read_page):
    message = "begin " + "x" * 1_000_000 + " end"
    run = trials.make_run({"docker": trials.make_target(checks=(trials.make_check(status="fail", message=message),))})
    page = read_page(write_html(run, tmp_path))
    shown = text_of(page.find(".//section[@id='failures']"))
    assert len(shown) < 30_000
    assert "begin xxx" in shown
    assert "xxx end" in shown
    assert "characters left out" in shown


def test_the_page_asks_for_nothing_outside_itself(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_seven(), tmp_path))
    assert not [element for element in page.iter() if element.get("src")]
    assert [link.get("href") for link in page.iter("link")] == ["data:,"]
    assert "url(" not in page.find(".//style").text.replace("url(#", "")
    assert "@import" not in page.find(".//style").text


def test_every_table_has_a_caption_and_scoped_headers(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_seven(), tmp_path))
    tables = list(page.iter("table"))
    assert len(tables) > 5
    for table in tables:
        assert text_of(table.find("caption"))
        assert all(cell.get("scope") == "col" for cell in table.find("thead/tr"))
        assert all(
            row[0].get("scope") == ("rowgroup" if row.get("class") == "group" else "row")
            for row in table.iter("tr")
            if row[0].tag == "th" and row not in table.find("thead")
        )


def test_a_number_always_has_its_unit(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_seven(), tmp_path))
    cells = [text_of(cell) for cell in page.iter("td") if cell.get("class") == "number"]
    assert cells
    assert not [cell for cell in cells if not re.search(r"(\d (s|B|KiB|MiB|GiB)|\d of \d+|\(.+\))$", cell)]


def test_a_broken_picture_loses_nothing_else(trials, tmp_path, read_page, monkeypatch):
    def break_down(run):
        raise RuntimeError("no such <font>")

    monkeypatch.setattr(timeline, "draw_timeline", break_down)
    page = read_page(write_html(trials.make_seven(), tmp_path))
    section = page.find(".//section[@id='timeline']")
    assert "no such <font>" in text_of(section)
    assert len(list(section.iter("tr"))) > 7
    assert len(read_table(page, "summary")) == 8


def test_a_broken_page_is_an_error_that_leaves_the_old_page(trials, tmp_path, monkeypatch):
    before = write_html(trials.make_run(), tmp_path).read_bytes()
    monkeypatch.setattr(html, "_collect", lambda run, directory: {"run": run})
    with pytest.raises(HarnessError, match="is undefined"):
        write_html(trials.make_run(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == before


def test_a_missing_jinja2_is_named_with_its_extra(trials, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UnmetRequirementError, match=r"seatrial\[report\]"):
        write_html(trials.make_run(), tmp_path)


def test_the_same_run_gives_the_same_bytes(trials, tmp_path):
    run = decode_run(encode_run(trials.make_seven()))
    again = decode_run(encode_run(run))
    assert write_html(run, tmp_path / "a").read_bytes() == write_html(again, tmp_path / "b").read_bytes()


def test_without_matplotlib_the_page_says_how_to_get_the_picture(trials, tmp_path, read_page, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = read_page(write_html(trials.make_seven(), tmp_path))
    assert "pip install 'seatrial[report]'" in text_of(page.find(".//section[@id='timeline']"))
