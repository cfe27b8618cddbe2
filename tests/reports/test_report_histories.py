"""Histories of a trial's directory in report.html and report.md."""

from __future__ import annotations

import pytest

from seatrial.trial.directory import TrialDirectory
from seatrial.trial.report import write_reports
from seatrial_reports.histories import find_silence, list_histories
from seatrial_reports.html import write_html
from seatrial_reports.markdown import write_markdown
from seatrial_reports.quantities import DASH


@pytest.fixture
def directory(tmp_path, histories):
    """A trial's directory with two histories."""
    trial = TrialDirectory(tmp_path)
    trial.keep_history("mlflow", "L03", histories.make(histories.ask(0.0, 1.0), stop=0.5))
    trial.keep_history("docker", "F01", histories.make_fault())
    return tmp_path


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def read_sections(page):
    return [section for section in page.iter("section") if section.get("class") == "history"]


def test_each_history_has_a_section_with_a_drawing_counts_and_a_link(trials, directory, read_page):
    check = trials.make_check(id="F01", title="comes back", facts={"history": "histories/docker-F01.jsonl"})
    run = trials.make_run({"docker": trials.make_target(checks=(check,)), "mlflow": trials.make_target("mlflow")})
    docker, mlflow = read_sections(read_page(write_html(run, directory)))

    assert text_of(docker.find("h3")) == "docker F01 comes back"
    assert text_of(mlflow.find("h3")) == "mlflow L03"
    assert docker.find(".//svg") is not None
    assert docker.find(".//a").get("href") == "histories/docker-F01.jsonl"
    words = text_of(docker.find(".//div[@class='counts']"))
    assert "asked 11ok 8fail 2unknown 1wrong answers 1stale connections 0" in words
    assert "answered 8closed 1refused 1unreachable 1" in words
    assert "Longest without a right answer: 3.40 s, from 1.600 s to 5.000 s" in words


def test_report_md_has_a_line_for_each(trials, directory):
    run = trials.make_run({"docker": trials.make_target(), "mlflow": trials.make_target("mlflow")})
    section = write_markdown(run, directory).read_text(encoding="utf-8").partition("## Requests around faults\n\n")[2]
    docker, mlflow = section.partition("\n\n")[0].splitlines()

    assert docker == (
        "- **docker** F01: 11 asked, 8 ok, 2 fail, 1 unknown, 1 wrong answers, 0 stale connections; "
        "longest without a right answer 3.40 s; [histories/docker-F01.jsonl](histories/docker-F01.jsonl)"
    )
    assert mlflow.startswith("- **mlflow** L03: 1 asked, 1 ok, ")


def test_a_trial_without_histories_shows_nothing_of_it(trials, tmp_path, read_page):
    page = read_page(write_html(trials.make_run(), tmp_path))

    assert page.find(".//section[@id='histories']") is None
    assert "around faults" not in write_markdown(trials.make_run(), tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe", "not a history"),
        (b"", "its first line is no head"),
        (b'{"kind":"history","endpoint":"x","clients":1,"schema":"seatrial.history/9"}\n', "of schema"),
        (b"[" * 100_000, "not a history"),
        (None, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_says_so_in_its_place(trials, directory, read_page, data, words):
    file = directory / "histories" / "docker-F01.jsonl"
    file.unlink()
    file.mkdir() if data is None else file.write_bytes(data)
    run = trials.make_run({"docker": trials.make_target(), "mlflow": trials.make_target("mlflow")})
    broken, whole = read_sections(read_page(write_html(run, directory)))

    assert text_of(broken.find("h3")) == "docker F01"
    assert words in text_of(broken.find("p[@class='trouble']"))
    assert broken.find(".//svg") is None
    assert whole.find(".//svg") is not None
    assert "- **docker** F01: cannot be read: " in write_markdown(run, directory).read_text(encoding="utf-8")


def test_a_file_of_hostile_name_stays_a_name(trials, tmp_path, histories, read_page):
    (tmp_path / "histories").mkdir()
    (tmp_path / "histories" / "a)<b>-x'\" .jsonl").write_bytes(histories.make_fault().encode())
    (section,) = read_sections(read_page(write_html(trials.make_run(), tmp_path)))

    assert text_of(section.find("h3")) == "a)<b> x'\""
    assert section.find(".//a").get("href") == "histories/a%29%3Cb%3E-x%27%22%20.jsonl"
    assert "](histories/a%29%3Cb%3E-x%27%22%20.jsonl)" in write_markdown(trials.make_run(), tmp_path).read_text("utf-8")


def test_reports_written_again_over_a_directory_draw_what_it_holds(trials, directory, read_page):
    said = []
    written = write_reports(trials.make_run(), directory, said.append)

    assert {path.name for path in written} >= {"report.html", "report.md", "junit.xml"}
    assert said == []
    assert len(read_sections(read_page(directory / "report.html"))) == 2


def test_silence_is_also_before_the_first_answer_and_after_the_last(histories):
    fails = {"outcome": "fail", "ending": "refused"}
    first = histories.make(histories.ask(1.0, 2.0, **fails), histories.ask(5.0, 6.0), histories.ask(6.0, 7.0))
    last = histories.make(
        histories.ask(1.0, 2.0), histories.ask(2.0, 2.5, judgement="wrong"), histories.ask(8.0, 9.0, **fails)
    )
    silences = [find_silence(history) for history in (first, last)]

    assert [(each.begin_s, each.end_s, each.length_s) for each in silences] == [(1.0, 6.0, 5.0), (2.0, 9.0, 7.0)]
    assert find_silence(histories.make(kill=1.0)) is None


def test_a_history_without_requests_has_a_dash_for_its_length(trials, tmp_path, histories):
    TrialDirectory(tmp_path).keep_history("docker", "F01", histories.make(kill=1.0))

    assert f"longest without a right answer {DASH};" in write_markdown(trials.make_run(), tmp_path).read_text("utf-8")
    (line,) = list_histories(trials.make_run(), tmp_path, drawn=False)
    assert (line.trouble, line.picture) == ("", None)
