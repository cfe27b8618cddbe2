"""report.html in a real browser, from a file: light and dark, narrow and wide, with nothing asked of the network."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from seatrial.trial.directory import TrialDirectory
from seatrial_reports.html import write_html
from seatrial_reports.quantities import DASH

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--no-first-run")  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        message = "no Chromium on the PATH. Fix: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser, trials, tmp_path):
    """Open the report of seven targets; at the end nothing may have been logged, thrown or fetched."""
    pages, complaints = [], []

    def open_page(run=None, **options):
        path = write_html(run or trials.make_seven(), tmp_path)
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def read_column(page, table, column):
    rows = page.locator(f"{table} tbody tr")
    return [rows.nth(index).locator("th, td").nth(column).text_content().strip() for index in range(rows.count())]


def test_a_click_on_a_header_sorts_by_value_and_a_second_one_the_other_way(open_report):
    page = open_report()
    header = page.locator("#summary thead th").nth(3)
    for direction, expected in (("ascending", "5.40 s"), ("descending", "22.7 s")):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == direction
        column = read_column(page, "#summary table", 3)
        assert column[0] == expected
        assert [cell.startswith(DASH) for cell in column] == [False] * 3 + [True] * 4
    page.locator("#summary thead th").first.get_by_role("button").focus()
    page.keyboard.press("Enter")
    names = read_column(page, "#summary table", 0)
    assert names == sorted(names)
    assert header.get_attribute("aria-sort") is None


def test_the_timeline_is_seen(open_report):
    box = open_report(viewport={"width": 1280, "height": 900}).locator("svg.timeline").bounding_box()
    assert box["width"] > 700
    assert box["height"] > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_history_is_seen_and_its_outcomes_differ_in_height_too(open_report, histories, tmp_path, scheme):
    TrialDirectory(tmp_path).keep_history("docker", "F01", histories.make_fault())
    page = open_report(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    paint = """(kind) => { const at = document.querySelector(`svg.history .${kind}`), style = getComputedStyle(at);
        return [style.fill, style.stroke, at.getBBox().height]; }"""
    painted = [tuple(page.evaluate(paint, kind)) for kind in ("ok", "fail", "unknown", "wrong")]
    assert page.locator("svg.history").bounding_box()["width"] > 700
    assert len(set(painted)) == 4
    assert [height for *_, height in painted] == [0, 12, 12, 18]
    assert painted[1][0] not in {painted[2][0], painted[3][0], "none"}


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_never_scrolls_sideways(open_report, width):
    page = open_report(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 1280])
def test_the_matrix_keeps_its_header_and_its_checks_in_sight(open_report, trials, width):
    page = open_report(trials.make_wide(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#matrix .scroll")
    box.evaluate("element => { element.scrollTop = 900; element.scrollLeft = 9999; }")
    assert box.evaluate("element => element.scrollTop") == 900
    edge, corner = box.bounding_box(), page.locator("#matrix thead th").first.bounding_box()
    last, row = page.locator("#matrix thead th").last.bounding_box(), page.locator("#matrix tbody th code").nth(40)
    assert last["y"] == corner["y"] == pytest.approx(edge["y"], abs=2)
    assert row.bounding_box()["x"] == pytest.approx(edge["x"], abs=12)
    if width == 1280:
        assert box.evaluate("element => element.scrollWidth - element.clientWidth") == 0


def test_a_cell_of_the_matrix_leads_to_the_evidence(open_report, trials):
    page = open_report(trials.make_wide(), viewport={"width": 1280, "height": 800})
    cell = page.locator("#matrix td a", has_text="fail").filter(has_not_text="expected").first
    assert "is fail." in cell.get_attribute("title")
    cell.click()
    assert page.locator("tr:target .message").first.text_content().startswith(cell.get_attribute("title"))


@pytest.mark.parametrize("width", [760, 1000])
def test_the_matrix_fits_paper(open_report, trials, width):
    page = open_report(trials.make_wide(), viewport={"width": width, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#matrix .scroll")
    assert box.evaluate("element => getComputedStyle(element).maxHeight") == "none"
    assert box.evaluate("element => element.scrollWidth <= element.clientWidth")


CONTRASTS = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const x = c / 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const paper = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script")) continue;
    const pair = [luminance(parse(getComputedStyle(element).color)), luminance(paper(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.className}: ${element.textContent.trim().slice(0, 40)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(open_report, trials, scheme):
    assert open_report(trials.make_wide(), color_scheme=scheme).evaluate(CONTRASTS) == []
    page = open_report(color_scheme=scheme)
    papers = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert papers == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
    assert page.evaluate(CONTRASTS) == []
    ink = page.evaluate("getComputedStyle(document.body).color")
    label = page.locator("svg.timeline text").first
    assert label.evaluate("element => getComputedStyle(element).fill") == ink


def test_the_run_can_be_saved_from_the_page(open_report, trials):
    page = open_report()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save run.json").click()
    saved = json.loads(download.value.path().read_bytes())
    assert saved["run_id"] == trials.make_seven().run_id
    assert download.value.suggested_filename == "run.json"


def test_paper_shows_what_is_folded_on_the_screen(open_report):
    page = open_report(viewport={"width": 760, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 760
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("pre.logs").is_visible()
