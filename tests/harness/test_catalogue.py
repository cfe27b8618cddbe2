"""The list of checks: nothing is missing, nothing is said twice, and the committed document is what the command prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

import seatrial
from seatrial import registry
from seatrial.checks import Check, sort_by_group
from seatrial.cli.catalogue import Catalogue, KnownCheck, NotAsked, collect_checks, read_not_asked
from seatrial.cli.conformance_document import TargetColumn, describe_application, list_columns, render_document
from seatrial.errors import HarnessError
from seatrial.registry import find_wire

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
LISTED = {"C": 9, "R": 7, "B": 8, "N": 5, "L": 8, "F": 6, "X": 5, "O": 4, "P": 9}
IDS = [f"{group}{number:02}" for group, last in LISTED.items() for number in range(1, last + 1)]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return collect_checks()


def make_check(check_id: str = "B04", **changes: object) -> Check:
    facts = {"id": check_id, "title": "t", "level": "MUST", "sentence": "It holds.", "source": "s", **changes}
    return Check(**facts)  # type: ignore[arg-type]


def test_every_id_of_the_list_is_asked_or_said_not_to_be(catalogue: Catalogue) -> None:
    asked = [each for known in catalogue.checks for each in (known.check.id, *known.check.covers)]
    not_asked = [each.id for each in catalogue.not_asked]
    assert len(asked) == len(set(asked)), "two checks ask the same"
    assert set(asked) & set(not_asked) == set(), "take these out of not_asked.toml"
    assert set(IDS) - set(asked) == set(not_asked), "add a check, or an entry in not_asked.toml"
    assert all(each.reason.endswith(".") for each in catalogue.not_asked)


def test_checks_stand_in_the_order_of_their_groups(catalogue: Catalogue) -> None:
    ids = [known.check.id for known in catalogue.checks]
    assert ids == sort_by_group(reversed(ids))
    assert sort_by_group(["test_b", "P01", "test_a", "R03", "C02", "R01"]) == [
        "C02", "R01", "R03", "P01", "test_b", "test_a",
    ]  # fmt: skip


def test_what_checks_say_of_themselves_is_known(catalogue: Catalogue) -> None:
    wires = [find_wire(name) for name in registry.names(registry.WIRES_GROUP)]
    ways = {way for wire in wires for way in (wire.name, wire.framing)}
    for known in catalogue.checks:
        assert known.check.wires <= ways, known.check.id
        assert Version(known.check.since) <= Version(seatrial.__version__), known.check.id


def test_the_document_is_what_the_command_prints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "explain", "--document"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("SEATRIAL_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    again = "checks have changed: run `./seatrial explain --document > docs/conformance.md`"
    assert DOCUMENT.read_text(encoding="utf-8") == done.stdout, again


@pytest.mark.parametrize(
    ("changes", "wire", "said"),
    [
        ({}, "frame", "✓"),
        ({"needs": frozenset({"drain", "batch"})}, "frame", "needs `drain`"),
        ({"wires": frozenset({"http"})}, "frame", "not over `frame`"),
        ({"wires": frozenset({"http"})}, "v2", "✓"),
        ({"wires": frozenset({"http"})}, "gradio-call", "not over `gradio-call`"),
        ({"wires": frozenset({"v2"})}, "v2", "✓"),
        ({"wires": frozenset({"v2", "frame"})}, "mlflow", "not over `mlflow`"),
        ({"wires": frozenset({"v2", "frame"})}, "", "over `frame`, `v2`"),
    ],
)
def test_why_a_target_is_not_asked_is_said(changes: dict[str, object], wire: str, said: str) -> None:
    column = TargetColumn(name="toy", claims=frozenset({"batch"}), wire=find_wire(wire) if wire else None)
    assert describe_application(make_check(**changes), column) == said


def test_every_target_of_ours_says_its_wire() -> None:
    assert {column.name: column.wire.name for column in list_columns() if column.wire} == {
        "docker": "v2",
        "gradio": "gradio-run",
        "inprocess": "frame",
        "kubernetes": "v2",
        "local": "v2",
        "mlflow": "mlflow",
        "sagemaker": "sagemaker",
        "url": "v2",
    }


def test_the_document_shows_markup_in_a_sentence_as_it_is() -> None:
    check = make_check(sentence="a | b\n<c>", covers=frozenset({"B09"}), wires=frozenset({"http"}))
    known = KnownCheck(check=check, suite="s", module="m", function="f", notes="")
    not_asked = NotAsked(id="X01", title="t", level="MAY", reason="None.")
    text = render_document(Catalogue(checks=(known,), not_asked=(not_asked,)))
    assert "| B04 (and B09) | t | MUST | a \\| b &lt;c> | s | smoke |  | `http` | 0.1.0 |" in text
    assert "| X01 | t | MAY | None. |" in text


@pytest.mark.parametrize("text", ["[[check]]\nid = 1", '[[check]]\nid = "X01"', "[[check"])
def test_a_list_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "not_asked.toml").write_text(text)
    with pytest.raises(HarnessError, match="is no list of checks"):
        read_not_asked(tmp_path)
