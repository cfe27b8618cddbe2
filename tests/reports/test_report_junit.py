"""junit.xml, by parsing it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from seatrial_reports.junit import write_junit


def read(path):
    return ET.fromstring(path.read_bytes())


def outcome(case):
    return next((child.tag for child in case), "passed")


def test_each_status_becomes_its_element(trials, tmp_path):
    root = read(write_junit(trials.make_every_status(), tmp_path))
    (suite,) = root
    assert suite.get("name") == "docker"
    assert {case.get("name"): outcome(case) for case in suite} == {
        "S00 ends as pass": "passed",
        "S01 ends as fail": "failure",
        "S02 ends as error": "error",
        "S03 ends as unsupported": "skipped",
        "S04 ends as expected-failure": "skipped",
        "S05 ends as not-run": "skipped",
        "S06 ends as invalid": "error",
    }
    assert {case.get("classname") for case in suite} == {"docker"}
    counts = {"tests": "7", "failures": "1", "errors": "2", "skipped": "3"}
    assert counts.items() <= suite.attrib.items()
    assert counts.items() <= root.attrib.items()
    assert suite.get("time") == "10.500"


def test_a_failure_carries_message_source_and_command(trials, tmp_path):
    failure = read(write_junit(trials.make_every_status(), tmp_path)).find(".//failure")
    assert failure.get("message") == "because of fail"
    assert "https://example.org/spec#4" in failure.text
    assert "seatrial run --target docker --check G01" in failure.text


def test_there_is_a_suite_for_each_target_and_a_case_for_what_was_not_checked(trials, tmp_path):
    root = read(write_junit(trials.make_seven(), tmp_path))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio"]
    assert [outcome(case) for case in suites["kubernetes"]] == ["skipped"]
    assert "seatrial provision --target kubernetes" in suites["kubernetes"].find(".//skipped").get("message")
    assert [outcome(case) for case in suites["mlflow"]] == ["error"]
    assert "address already in use" in suites["mlflow"].find(".//error").text


@pytest.mark.parametrize("exit_code", [2, 3, 4, 6])
def test_a_run_that_is_not_green_has_no_green_file(trials, tmp_path, exit_code):
    run = trials.make_run({}, verdict="error", exit_code=exit_code, causes=("no engine",))
    assert read(write_junit(run, tmp_path)).find(".//error").get("message") == "no engine"


def test_a_green_run_has_no_red_file(trials, tmp_path):
    checks = (trials.make_check(status="fail", level="MAY"), trials.make_check(status="invalid", id="M01"))
    root = read(write_junit(trials.make_run({"docker": trials.make_target(checks=checks)}), tmp_path))
    assert [outcome(case) for case in root.iter("testcase")] == ["skipped", "skipped"]


def test_characters_that_xml_cannot_hold_do_not_break_the_file(trials, tmp_path):
    text = "]]></failure>\x1b[31m\x00\x0b\ud800\ufffe & \"'\r\nnext"
    check = trials.make_check(status="fail", message=text, title=text, source=text)
    run = trials.make_run({text: trials.make_target(checks=(check,))}, verdict="fail", exit_code=1)
    failure = read(write_junit(run, tmp_path)).find(".//failure")
    assert failure.get("message") == "]]></failure>␀␋\ufffd\ufffd & \"' next"


def test_a_megabyte_of_message_is_bounded(trials, tmp_path):
    check = trials.make_check(status="fail", message="x" * 1_000_000)
    path = write_junit(
        trials.make_run({"docker": trials.make_target(checks=(check,))}, verdict="fail", exit_code=1), tmp_path
    )
    assert path.stat().st_size < 50_000
