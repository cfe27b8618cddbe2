"""junit.xml: a test suite for each target, a test case for each check, in the dialect that CI systems read.

Source of the dialect: https://github.com/testmoapp/junitxml (elements testsuites, testsuite, testcase, failure, error, skipped).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.records import CheckRecord, RunResult, TargetResult
from seatrial_reports.files import replace_file
from seatrial_reports.statuses import RED, describe_status, describe_verdict
from seatrial_reports.text import join_lines, shorten

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FILE_NAME = "junit.xml"
_SKIPPED = frozenset({"unsupported", "not-run", "expected-failure"})
_MESSAGE_LIMIT = 1000


def write_junit(run: RunResult, directory: Path) -> Path:
    """Write junit.xml into `directory` and return its path.

    What goes wrong outside of checks has a test case of its own (a failed deployment, a verdict that no check explains),
    so that the file is never green for a run that is not.
    """
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", name="seatrial")
    for name, result in run.targets.items():
        _add_target(root, run, name, result)
    if run.exit_code != 0 and not _has_red(root):
        suite = _add_suite(root, "trial", run)
        case = _add_case(suite, "trial", "verdict", 0.0)
        _add_outcome(case, "error", run.verdict, " ".join(run.causes) or describe_verdict(run))
    for suite in root:
        _count(suite, [suite])
    _count(root, list(root))
    root.set("time", f"{max(run.duration_s, 0.0):.3f}")
    ET.indent(root)
    content = ET.tostring(root, encoding="unicode")
    return replace_file(directory / FILE_NAME, f'<?xml version="1.0" encoding="utf-8"?>\n{content}\n')


def _add_target(root: Element, run: RunResult, name: str, result: TargetResult) -> None:
    suite = _add_suite(root, name, run)
    for check in result.checks:
        _add_check(suite, name, check, green_run=run.exit_code == 0)
    for error in result.errors:
        case = _add_case(suite, name, "deployment", 0.0)
        _add_outcome(case, "error", f"exit code {error.exit_code}", error.message, error.logs)
    for missing in result.not_run:
        case = _add_case(suite, name, f"requires {missing.name}", 0.0)
        _add_outcome(case, "skipped", "not-run", f"{missing.detail}. Fix: {missing.fix}")
    for check_id in result.not_asked:
        told = "not asked, though of the chosen profile and suites"
        _add_outcome(_add_case(suite, name, f"{check_id} not asked", 0.0), "skipped", "not-asked", told)
    if result.status in RED and run.exit_code != 0 and not _has_red(suite):
        _add_outcome(_add_case(suite, name, "verdict", 0.0), "error", result.status, describe_status(result.status))
    if not len(suite.findall("testcase")):
        _add_outcome(_add_case(suite, name, "checks", 0.0), "skipped", "not-run", "no check ran on this target")


def _add_check(suite: Element, target: str, check: CheckRecord, *, green_run: bool) -> None:
    case = _add_case(suite, target, f"{check.id} {check.title}", check.duration_s)
    message = check.message or f"{check.status}, and no reason was recorded"
    detail = "\n".join(
        f"{label}: {text}"
        for label, text in (("level", check.level), ("source", check.source), ("reproduce", check.reproduce))
        if text
    )
    if check.status == "fail" and check.level == "MAY":
        _add_outcome(case, "skipped", check.level, f"failed, which MAY be and changes no verdict: {message}")
    elif check.status == "fail":
        _add_outcome(case, "failure", check.level, message, f"{message}\n{detail}")
    elif check.status == "error" or (check.status == "invalid" and not green_run):
        _add_outcome(case, "error", check.status, message, f"{message}\n{detail}")
    elif check.status in _SKIPPED or check.status == "invalid":
        _add_outcome(case, "skipped", check.status, f"{check.status}: {message}")


def _add_suite(root: Element, name: str, run: RunResult) -> Element:
    from xml.etree.ElementTree import SubElement

    return SubElement(
        root, "testsuite", name=join_lines(name, _MESSAGE_LIMIT), timestamp=join_lines(run.started_at, 40)
    )


def _add_case(suite: Element, target: str, name: str, duration_s: float) -> Element:
    from xml.etree.ElementTree import SubElement

    class_name, title = join_lines(target, _MESSAGE_LIMIT), join_lines(name, _MESSAGE_LIMIT)
    return SubElement(suite, "testcase", classname=class_name, name=title, time=f"{max(duration_s, 0.0):.3f}")


def _add_outcome(case: Element, kind: str, cause: str, message: str, detail: str = "") -> None:
    from xml.etree.ElementTree import SubElement

    outcome = SubElement(case, kind, message=join_lines(message, _MESSAGE_LIMIT), type=cause)
    outcome.text = shorten(detail or message)


def _has_red(element: Element) -> bool:
    return element.find(".//failure") is not None or element.find(".//error") is not None


def _count(element: Element, suites: list[Element]) -> None:
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
