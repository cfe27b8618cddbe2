"""Entries of expected failures: how they are read, and what they make of an outcome."""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from seatrial import registry
from seatrial.cli.catalogue import collect_checks
from seatrial.errors import UsageError
from seatrial.expectations import Expectation, _Entry, read_entries, read_shipped
from seatrial.expected_failures import Outcome, rule
from seatrial.pytest_expectations import check_ids, hold, list_entries, list_suite_ids
from seatrial.records import CheckRecord
from seatrial.settings import Settings, check_settings, read_settings
from seatrial.target import find_version
from seatrial.trial.result import Tally, judge_target, judge_trial

ENTRY = {
    "check": "B04",
    "reason": "it answers 500",
    "link": "https://example.org/1",
    "package": "server",
    "versions": ">=3.10,<3.19",
}


def read(**changes: Any) -> Expectation:
    (entry,) = read_entries([{**ENTRY, **changes}], "a file")
    return entry


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
    ruling = rule(Outcome(status="fail", message="status 500"), [read()], SEEN)

    assert (ruling.status, ruling.stale, ruling.notes) == ("expected-failure", (), ())
    assert ruling.message == (
        "expected: it answers 500 (https://example.org/1; seen in server <3.19,>=3.10; a file, entry 1 (B04))\nstatus 500"
    )


def test_a_measurement_stands_where_a_link_would() -> None:
    ruling = rule(Outcome(status="fail", message="x"), [read(link="", measured="500 in 20 of 20 tries")], SEEN)

    assert "it answers 500 (measured: 500 in 20 of 20 tries; seen in" in ruling.message


def test_cases_that_entries_name_are_expected() -> None:
    written = [ENTRY | {"cases": ["bare", "huge"]}, ENTRY | {"cases": ["deep"], "reason": "too deep"}]

    ruling = rule(failing("bare", "deep", "huge"), read_entries(written, "a file"), SEEN)

    assert ruling.status == "expected-failure"
    assert "expected of bare, huge: it answers 500" in ruling.message
    assert "expected of deep: too deep" in ruling.message
    assert "bare: status 500 for bare" in ruling.message


def test_a_case_that_no_entry_names_fails_and_is_told_from_those_that_are() -> None:
    ruling = rule(failing("bare", "deep"), [read(cases=["bare"])], SEEN)

    assert ruling.status == "fail"
    assert ruling.message.splitlines() == [
        "expected of bare: it answers 500 (https://example.org/1; seen in server <3.19,>=3.10; a file, entry 1 (B04))",
        "not expected, 1 of 2 cases that do not hold:",
        "deep: status 500 for deep",
    ]


def test_an_entry_without_cases_stands_for_all_of_them() -> None:
    assert rule(failing("bare", "deep"), [read()], SEEN).status == "expected-failure"


def test_a_failure_outside_of_the_cases_is_no_case_of_them() -> None:
    ruling = rule(Outcome(status="fail", message="it did not come back"), [read(cases=["bare"])], SEEN)

    assert (ruling.status, ruling.stale) == ("fail", ())
    assert ruling.message.endswith("before it had judged them all\nit did not come back")


def test_what_is_mended_fails_with_the_file_to_change() -> None:
    ruling = rule(passing(), [read()], SEEN)

    assert ruling.status == "fail"
    assert ruling.message == "B04 was expected to fail, and holds: take out the entry in a file, entry 1 (B04)"
    assert ruling.stale == (ruling.message,)


@pytest.mark.parametrize("outcome", [passing("bare", "deep"), failing("deep")], ids=["all hold", "another does not"])
def test_a_mended_case_fails(outcome: Outcome) -> None:
    ruling = rule(outcome, [read(cases=["bare", "deep"])], SEEN)

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
    ruling = rule(outcome, [read(cases=["bear"])], SEEN)

    assert ruling.status == "fail"
    assert told in ruling.message


def test_a_case_that_only_some_models_have_may_be_not_asked_but_not_hold() -> None:
    entry = read(cases=["no integer"], if_asked=True)

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
    ruling = rule(outcome, [read(cases=["bare"])], version(number))

    assert (ruling.status, ruling.message, ruling.stale) == (outcome.status, outcome.message, ())
    (note,) = ruling.notes
    assert note.startswith("the entry for B04 (bare) was seen in server <3.19,>=3.10; ")
    assert told in note


@pytest.mark.parametrize("number", ["3.10", "3.18.9", "3.11rc1", "3.12.0+local", "v3.12"])
def test_what_is_in_the_range(number: str) -> None:
    assert read().covers(number)


@pytest.mark.parametrize("status", ["error", "not-run", "invalid", "unsupported"])
def test_what_says_nothing_of_the_target_is_left_as_it_is(status: Any) -> None:
    ruling = rule(Outcome(status=status, message="it broke"), [read(), read(cases=["bare"])], SEEN)

    assert (ruling.status, ruling.message, ruling.stale, ruling.notes) == (status, "it broke", (), ())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"case": "bare"}, "there is no key 'case'. Did you mean 'cases'?"),
        ({"check": ""}, "Expected `str` of length >= 1 - at `$.check`"),
        ({"reason": " "}, "Expected `str` of length >= 1 - at `$.reason`"),
        ({"cases": "bare"}, "Expected `array`, got `str` - at `$.cases`"),
        ({"cases": [1]}, "Expected `str`, got `int` - at `$.cases[0]`"),
        ({"link": "a colleague"}, "at `$.link`"),
        ({"link": ""}, "a link or a measurement was expected"),
        ({"versions": "3.x"}, "versions is '3.x', a range as in '>=3.10,<3.19' was expected"),
        ({"versions": ""}, "at `$.versions`"),
        ({"if_asked": True}, "if_asked is of cases, and there are none"),
    ],
)
def test_a_wrong_entry_is_one_sentence_that_says_where(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(**changes)

    assert caught.value.message.startswith("a file, entry 1")
    assert told in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("key", ["check", "reason", "package", "versions"])
def test_what_an_entry_must_have(key: str) -> None:
    with pytest.raises(UsageError, match=f"a file, entry 1.*missing required field `{key}`"):
        read_entries([{name: value for name, value in ENTRY.items() if name != key}], "a file")


@pytest.mark.parametrize("value", [dict(ENTRY), "B04", 5, ["B04"]])
def test_what_is_no_list_of_tables_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="a file: a list of tables was expected"):
        read_entries(value, "a file")


def write_user(directory: Path, name: str = "mlflow", **changes: str) -> Path:
    lines = [f'{key} = "{value}"' for key, value in {**ENTRY, **changes}.items()]
    (directory / "pyproject.toml").write_text("\n".join([f"[[tool.seatrial.expect.{name}]]", *lines, ""]))
    return directory


def test_a_users_entries_are_settings(tmp_path: Path) -> None:
    settings = read_settings(write_user(tmp_path), {})

    (entry,) = settings.expectations["mlflow"]
    where = f"{tmp_path / 'pyproject.toml'}, [[tool.seatrial.expect.mlflow]], entry 1 (B04)"
    assert (entry.check, entry.cases, entry.source) == ("B04", (), where)
    assert ("expect.mlflow", [ENTRY], str(tmp_path / "pyproject.toml")) in settings.list_all()


def test_a_users_entries_may_be_assigned_as_json() -> None:
    settings = Settings().with_given({"expect.mlflow": '[{"check": "B04"}]'}, "--set expect.mlflow")

    with pytest.raises(UsageError, match=r"--set expect.mlflow, .*entry 1 \(B04\): .*missing required field `reason`"):
        check_settings(settings)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[[tool.seatrial.expect.mlfow]]\n", "missing required field `check`"),
        ("[tool.seatrial.expect]\nmlfow = []\n", "there is no setting 'expect.mlfow'. Did you mean 'mlflow'?"),
        ("[tool.seatrial.expect.mlflow]\ncheck = 'B04'\n", "a list of tables was expected"),
        ("[tool.seatrial.expcet.mlflow]\ncheck = 'B04'\n", "Did you mean 'expect'?"),
        ("[tool.seatrial]\nexpect = 5\n", "there is no setting 'expect'"),
    ],
)
def test_wrong_tables_are_refused_early(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path, {})

    assert wanted in caught.value.message
    assert "pyproject.toml" in caught.value.message


def make_module(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A module with a target, importable as `name`, a package's or one that stands alone."""
    path = directory.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in (each for each in path.parents if each != directory and directory in each.parents):
        (parent / "__init__.py").touch()
    path.write_text("class OwnTarget:\n    name = 'own'\n")
    monkeypatch.syspath_prepend(directory)
    for each in (name, name.partition(".")[0]):
        monkeypatch.delitem(sys.modules, each, raising=False)
    return path.parent, importlib.import_module(name).OwnTarget()


@pytest.mark.parametrize("name", ["own_wheel.targets.own_technology", "own_technology_alone"])
def test_a_target_of_anybodys_brings_its_entries_beside_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    directory, target = make_module(tmp_path, monkeypatch, name)
    assert read_shipped(target) == ()
    text = """
    [[expect]]
    check = "B04"
    cases = ["bare"]
    reason = "it answers 500"
    measured = "20 of 20 times"
    package = "own-technology"
    versions = "==1.*"
    """
    (directory / "own.expectations.toml").write_text(textwrap.dedent(text))

    (entry,) = read_shipped(target)

    assert (entry.check, entry.cases, entry.seen_in) == ("B04", ("bare",), "own-technology ==1.*")
    assert entry.source == f"{directory / 'own.expectations.toml'}, entry 1 (B04)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[expect]\n", "is not TOML"),
        ("[[expct]]\ncheck = 'B04'\n", "there is no table 'expct'. Did you mean 'expect'?"),
        ("[expect]\ncheck = 'B04'\n", "a list of tables was expected"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    directory, target = make_module(tmp_path, monkeypatch, "own_bad_technology")
    (directory / "own.expectations.toml").write_text(text)

    with pytest.raises(UsageError, match="own.expectations.toml") as caught:
        read_shipped(target)

    assert told in caught.value.message


def test_every_entry_that_is_shipped_is_for_a_check_that_there_is() -> None:
    known = {each.check.id for each in collect_checks().checks if each.function}
    assert list_suite_ids() == known >= {"R01", "B01"}
    targets = [registry.find_target(name) for name in registry.names(registry.TARGETS_GROUP)]
    shipped = {target.name: read_shipped(target) for target in targets}

    check_ids(shipped, known, is_all=True)

    with pytest.raises(UsageError, match="there is no check 'B0l'. Did you mean 'B0"):
        check_ids({**shipped, "own": [read(check="B0l")]}, known, is_all=True)


def test_a_check_that_was_not_collected_is_known_all_the_same() -> None:
    check_ids({"own": [read(check="R01"), read(check="test_mine")]}, set(), is_all=False)

    with pytest.raises(UsageError, match="there is no check 'test_mine'"):
        check_ids({"own": [read(check="test_mine")]}, {"test_yours"}, is_all=True)


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


def test_the_examples_of_the_document_can_be_used(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "expectations.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    (tmp_path / "pyproject.toml").write_text("\n".join(examples))

    settings = read_settings(tmp_path, {})

    (entry,) = settings.expectations["mlflow"]
    assert (entry.check, entry.cases) == ("B01", ("a bare word",))
    assert entry.covers("3.12.0")
    assert settings.for_target(registry.find_target("url")).versions == {"my-server": "1.4"}
    keys = {field.name for field in msgspec.structs.fields(_Entry)}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == keys


def hold_over(wire: str, *entries: Expectation) -> str:
    record = CheckRecord(target="t", id="B04", title="", level="MUST", status="fail", message="status 500")
    held, _ = hold(record, AssertionError("status 500"), {}, entries, SEEN, wire)
    return held.status


def test_an_entry_is_heard_over_its_wires_and_one_without_over_all() -> None:
    entry = read(wires=["gradio-run", "v2"])

    assert [hold_over(wire, entry) for wire in ("v2", "gradio-call")] == ["expected-failure", "fail"]
    assert hold_over("gradio-call", read()) == "expected-failure"


def test_an_entry_for_a_wire_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a file, entry 1 \(B04\): .*'gradio-rum'"):
        list_entries(["inprocess"], {"inprocess": [read(wires=["gradio-rum"])]})
