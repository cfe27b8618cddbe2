"""The timeline, by parsing its SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from seatrial.records import PhaseRecord
from seatrial_reports.timeline import draw_timeline


def read_bars(svg):
    """Return (left, right, top, bottom) of every bar by its title, in points of the picture."""
    bars = {}
    for group in ET.fromstring(svg).iter("g"):
        title = group.find("title")
        if title is not None:
            numbers = [
                float(word) for word in group.find("path").get("d").replace("\n", " ").split() if word[-1].isdigit()
            ]
            xs, ys = numbers[::2], numbers[1::2]
            bars[title.text] = (min(xs), max(xs), min(ys), max(ys))
    return bars


def test_a_bar_is_as_long_as_its_phase_and_begins_where_it_began(trials):
    phases_s = {"build": 10.0, "start": 20.0}
    run = trials.make_run(
        {"docker": trials.make_target(timeline=trials.make_timeline("docker", 5.0, phases_s))}, duration_s=40.0
    )
    bars = read_bars(draw_timeline(run))
    build = bars["docker: build, 10.00 s, from 5.00 s to 15.00 s"]
    start = bars["docker: start, 20.00 s, from 15.00 s to 35.00 s"]
    assert start[1] - start[0] == pytest.approx(2 * (build[1] - build[0]), rel=0.01)
    assert start[0] == pytest.approx(build[1], abs=0.1)
    assert build[2:] == start[2:]


def test_phases_of_one_target_that_overlap_do_not_hide_one_another(trials):
    phases = tuple(
        PhaseRecord(target="docker", name=name, start_s=0.0, end_s=end_s)
        for name, end_s in (("build", 9.0), ("publish", 5.0))
    )
    first, second = read_bars(draw_timeline(trials.make_run({"docker": trials.make_target(timeline=phases)}))).values()
    assert first[3] <= second[2] + 0.1 or second[3] <= first[2] + 0.1


def test_there_is_a_row_for_each_target_also_for_one_that_was_not_run(trials):
    words = [text.text for text in ET.fromstring(draw_timeline(trials.make_seven())).iter("text")]
    assert {"inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio", "not run"} <= set(words)
    assert {"build", "ready", "undeploy", "seconds since the trial began"} <= set(words)


def test_no_phase_no_picture(trials):
    assert draw_timeline(trials.make_run({"docker": trials.make_not_run()})) == ""


def test_names_are_text_whatever_they_hold(trials):
    name = "$\\frac{ <script>\x00 模型 🚢"
    phases = trials.make_timeline(name, 0.0, {name: 50.0})
    words = [
        text.text
        for text in ET.fromstring(draw_timeline(trials.make_run({name: trials.make_target(timeline=phases)}))).iter(
            "text"
        )
    ]
    assert words.count("$\\frac{ <script>␀ 模型 🚢") == 3


def test_the_picture_follows_the_scheme_of_the_page_and_styles_nothing_else(trials):
    svg = draw_timeline(trials.make_seven())
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<style" not in svg
    assert "xmlns" not in svg


def test_drawing_changes_no_settings_of_the_process(trials):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw_timeline(trials.make_seven())
    assert dict(mpl.rcParams) == before


def test_a_phase_of_no_length_and_a_trial_of_no_length_are_drawn(trials):
    phases = (PhaseRecord(target="docker", name="build", start_s=0.0, end_s=0.0),)
    run = trials.make_run({"docker": trials.make_target(timeline=phases)}, duration_s=0.0)
    assert list(read_bars(draw_timeline(run))) == ["docker: build, 0.00 s, from 0.00 s to 0.00 s"]
