"""What a check of several cases leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import ASKED_CASES, Findings, FindingsError


def test_cases_that_do_not_hold_are_named_and_the_others_counted() -> None:
    findings, facts = Findings(), dict[str, Any]()
    for case, message in (("bare", ""), ("deep", "status 500"), ("huge", "no answer")):
        findings.judge(case, message)

    with pytest.raises(FindingsError, match="2 of 3 cases do not hold:\ndeep: status 500\nhuge: no answer") as raised:
        findings.conclude(facts)
    assert [each.case for each in raised.value.findings] == facts["wrong_cases"] == ["deep", "huge"]
    assert (facts["cases"], facts["wrong"]) == (3, 2)


def test_cases_that_hold_leave_their_count() -> None:
    findings, facts = Findings(), dict[str, Any]()
    findings.judge("bare", "")
    findings.conclude(facts)
    assert facts == {"cases": 1, "wrong": 0, "wrong_cases": [], ASKED_CASES: ["bare"]}


def test_nothing_asked_is_never_a_pass() -> None:
    with pytest.raises(ValueError, match="nothing was checked"):
        Findings().conclude({})


def test_a_case_is_judged_once() -> None:
    findings = Findings()
    findings.judge("bare", "")
    with pytest.raises(ValueError, match="judged before"):
        findings.judge("bare", "")
