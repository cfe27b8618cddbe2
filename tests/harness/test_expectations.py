"""Entries of expected failures: how they are read, a user's and those that are shipped, and what is refused."""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

from expectation_entries import ENTRY, read_entry
from seatrial import registry
from seatrial.cli.catalogue import collect_checks
from seatrial.errors import UsageError
from seatrial.expectations import _Entry, read_entries, read_shipped
from seatrial.pytest_expectations import check_ids, list_entries, list_suite_ids
from seatrial.settings import Settings, check_settings, read_settings


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
        read_entry(**changes)

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
        check_ids({**shipped, "own": [read_entry(check="B0l")]}, known, is_all=True)


def test_a_check_that_was_not_collected_is_known_all_the_same() -> None:
    check_ids({"own": [read_entry(check="R01"), read_entry(check="test_mine")]}, set(), is_all=False)

    with pytest.raises(UsageError, match="there is no check 'test_mine'"):
        check_ids({"own": [read_entry(check="test_mine")]}, {"test_yours"}, is_all=True)


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


def test_an_entry_for_a_wire_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a file, entry 1 \(B04\): .*'gradio-rum'"):
        list_entries(["inprocess"], {"inprocess": [read_entry(wires=["gradio-rum"])]})
