"""What entries of expected failures make of an outcome, and of which versions and wires they are heard."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from expectation_entries import ENTRY, read_entry
from seatrial import registry
from seatrial.expectations import Expectation, read_entries
from seatrial.expected_failures import Outcome, rule
from seatrial.pytest_expectations import hold
from seatrial.records import CheckRecord
from seatrial.target import find_version
from seatrial.trial.result import Tally, judge_target, judge_trial


def version(number: str) -> Callable[[str], str]:
    return {"server": number}.__getitem__


SEEN = version("3.12.1")


def failing(*found: str, asked: tuple[str, ...] = ("bare", "deep", "huge")) -> Outcome:
    messages = {case: f"status 500 for {case}" for case in found}
    text = "\n".join([f"{len(found)} of {len(asked)} cases do not hold:", *(f"{c}: {m}" for c, m in messages.items())])
    return Outcome(status="fail", message=text, found=messages, asked=frozenset(asked))


def passing(*asked: str) -> Outcome:
    return Outcome(status="pass", asked=frozenset(asked) if asked else None)


def test_a_failure_is_expected_with_reason_and_link_before_the_evidence() -> None:
    ruling = rule(Outcome(status="fail", message="status 500"), [read_entry()], SEEN)

    assert (ruling.status, ruling.stale, ruling.notes) == ("expected-failure", (), ())
    assert ruling.message == (
        "expected: it answers 500 (https://example.org/1; seen in server <3.19,>=3.10; a file, entry 1 (B04))\nstatus 500"
    )


def test_a_measurement_stands_where_a_link_would() -> None:
    ruling = rule(Outcome(status="fail", message="x"), [read_entry(link="", measured="500 in 20 of 20 tries")], SEEN)

    assert "it answers 500 (measured: 500 in 20 of 20 tries; seen in" in ruling.message


def test_cases_that_entries_name_are_expected() -> None:
    written = [ENTRY | {"cases": ["bare", "huge"]}, ENTRY | {"cases": ["deep"], "reason": "too deep"}]

    ruling = rule(failing("bare", "deep", "huge"), read_entries(written, "a file"), SEEN)

    assert ruling.status == "expected-failure"
    assert "expected of bare, huge: it answers 500" in ruling.message
    assert "expected of deep: too deep" in ruling.message
    assert "bare: status 500 for bare" in ruling.message


def test_a_case_that_no_entry_names_fails_and_is_told_from_those_that_are() -> None:
    ruling = rule(failing("bare", "deep"), [read_entry(cases=["bare"])], SEEN)

    assert ruling.status == "fail"
    assert ruling.message.splitlines() == [
        "expected of bare: it answers 500 (https://example.org/1; seen in server <3.19,>=3.10; a file, entry 1 (B04))",
        "not expected, 1 of 2 cases that do not hold:",
        "deep: status 500 for deep",
    ]


def test_an_entry_without_cases_stands_for_all_of_them() -> None:
    assert rule(failing("bare", "deep"), [read_entry()], SEEN).status == "expected-failure"


def test_a_failure_outside_of_the_cases_is_no_case_of_them() -> None:
    ruling = rule(Outcome(status="fail", message="it did not come back"), [read_entry(cases=["bare"])], SEEN)

    assert (ruling.status, ruling.stale) == ("fail", ())
    assert ruling.message.endswith("before it had judged them all\nit did not come back")


def test_what_is_mended_fails_with_the_file_to_change() -> None:
    ruling = rule(passing(), [read_entry()], SEEN)

    assert ruling.status == "fail"
    assert ruling.message == "B04 was expected to fail, and holds: take out the entry in a file, entry 1 (B04)"
    assert ruling.stale == (ruling.message,)


@pytest.mark.parametrize("outcome", [passing("bare", "deep"), failing("deep")], ids=["all hold", "another does not"])
def test_a_mended_case_fails(outcome: Outcome) -> None:
    ruling = rule(outcome, [read_entry(cases=["bare", "deep"])], SEEN)

    assert ruling.status == "fail"
    assert "B04, case 'bare', was expected to fail, and holds: take out the case in a file" in ruling.message


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (failing("bare"), "B04 has no case 'bear', asked were 'bare', 'deep', 'huge': correct the entry in a file"),
        (passing(), "B04 has no case 'bear', it judges no cases: correct the entry in a file"),
    ],
    ids=["other cases", "no cases"],
)
def test_a_case_that_is_not_asked_matches_nothing(outcome: Outcome, told: str) -> None:
    ruling = rule(outcome, [read_entry(cases=["bear"])], SEEN)

    assert ruling.status == "fail"
    assert told in ruling.message


def test_a_case_that_only_some_models_have_may_be_not_asked_but_not_hold() -> None:
    entry = read_entry(cases=["no integer"], if_asked=True)

    assert rule(passing("bare"), [entry], SEEN).status == "pass"
    assert rule(passing("bare", "no integer"), [entry], SEEN).status == "fail"
    assert rule(failing("no integer", asked=("no integer",)), [entry], SEEN).status == "expected-failure"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("3.20", "this is 3.20, so"),
        ("3.9.2", "this is 3.9.2, so"),
        ("", "which version this is, nobody can tell, so"),
        ("nightly", "this is nightly, so"),
    ],
)
@pytest.mark.parametrize("outcome", [passing(), Outcome(status="fail", message="status 500")], ids=["pass", "fail"])
def test_outside_its_range_an_entry_is_a_note(outcome: Outcome, number: str, told: str) -> None:
    ruling = rule(outcome, [read_entry(cases=["bare"])], version(number))

    assert (ruling.status, ruling.message, ruling.stale) == (outcome.status, outcome.message, ())
    (note,) = ruling.notes
    assert note.startswith("the entry for B04 (bare) was seen in server <3.19,>=3.10; ")
    assert told in note


@pytest.mark.parametrize("number", ["3.10", "3.18.9", "3.11rc1", "3.12.0+local", "v3.12"])
def test_what_is_in_the_range(number: str) -> None:
    assert read_entry().covers(number)


@pytest.mark.parametrize("status", ["error", "not-run", "invalid", "unsupported"])
def test_what_says_nothing_of_the_target_is_left_as_it_is(status: Any) -> None:
    ruling = rule(Outcome(status=status, message="it broke"), [read_entry(), read_entry(cases=["bare"])], SEEN)

    assert (ruling.status, ruling.message, ruling.stale, ruling.notes) == (status, "it broke", (), ())


@pytest.mark.parametrize(
    ("name", "settings", "is_here"),
    [
        ("mlflow", {}, True),
        ("mlflow", {"env_manager": "uv"}, False),
        ("docker", {}, True),
        ("docker", {"image": "mine:1"}, False),
        ("kubernetes", {}, True),
        ("kubernetes", {"manifests": "deploy/"}, False),
        ("kubernetes", {"image_ref": "registry/mine:1"}, False),
        ("kubernetes", {"image_ref": "registry/mine:1", "push": True}, True),
        ("url", {}, False),
    ],
)
def test_the_installed_version_counts_where_it_is_what_serves(
    name: str, settings: dict[str, Any], is_here: bool
) -> None:
    target = registry.find_target(name)
    found = find_version(target, target.settings_type(**settings), None, "pytest")

    assert found == (pytest.__version__ if is_here else "")


@pytest.mark.parametrize("name", ["docker", "kubernetes", "url"])
def test_a_user_may_say_the_version_of_what_is_the_users_own(name: str) -> None:
    target = registry.find_target(name)
    settings = target.settings_type(versions={"my-server": "1.4"})

    assert settings.versions == {"my-server": "1.4"}
    deployed: Any = SimpleNamespace(versions={"My_Server": "1.4"})
    assert find_version(target, settings, deployed, "my-server") == "1.4"
    assert find_version(target, settings, None, "no-such-distribution") == ""


def test_an_expected_failure_leaves_the_verdict_a_pass_and_its_note_is_the_targets() -> None:
    def judge(status: Any, notes: tuple[str, ...] = ()) -> tuple[Any, ...]:
        check = CheckRecord(target="x", id="B04", title="t", level="MUST", status=status, notes=notes)
        result = judge_target(Tally(checks=[check]))
        return result, *judge_trial({"x": result}, require=True, named=["x"])

    result, verdict, codes, causes = judge("expected-failure", ("seen in another",))

    assert (result.status, verdict, codes, causes) == ("pass", "pass", set(), [])
    assert result.notes == ("seen in another",)
    assert judge("fail")[1] == "fail"


def hold_over(wire: str, *entries: Expectation) -> str:
    record = CheckRecord(target="t", id="B04", title="", level="MUST", status="fail", message="status 500")
    held, _ = hold(record, AssertionError("status 500"), {}, entries, SEEN, wire)
    return held.status


def test_an_entry_is_heard_over_its_wires_and_one_without_over_all() -> None:
    entry = read_entry(wires=["gradio-run", "v2"])

    assert [hold_over(wire, entry) for wire in ("v2", "gradio-call")] == ["expected-failure", "fail"]
    assert hold_over("gradio-call", read_entry()) == "expected-failure"
