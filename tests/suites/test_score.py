"""Every conformance check has a specimen on which it goes red; what has none is named here with the reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from seatrial.cli.catalogue import collect_checks
from seatrial_fixtures.wrong.catalogue import load_families

ELSEWHERE: dict[str, str] = {
    "R02": "tests/suites/test_checks_go_red.py::test_answers_that_are_right_by_their_tolerance_and_not_the_same_are_red",
}
"""Checks whose red is shown by a test of their own, and where."""


def list_floor_trips() -> set[str]:
    """The ids that specimens over the floor's process trip."""
    path = Path(__file__).with_name("test_checks_go_red.py")
    spec = importlib.util.spec_from_file_location("floor_specimens", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {check_id for check_id, _ in module.WRONG.values()}


def test_every_check_has_a_specimen() -> None:
    known = {each.check.id for each in collect_checks().checks if each.suite == "conformance"}
    tripped = {check_id for family in load_families().values() for each in family.values() for check_id in each.trips}
    tripped |= list_floor_trips()

    assert known - tripped - ELSEWHERE.keys() == set(), "these have no specimen that goes red"
    assert tripped - known == set(), "specimens trip what nobody asks"
    for where in ELSEWHERE.values():
        path, _, name = where.partition("::")
        assert f"def {name}" in (Path(__file__).parents[2] / path).read_text(encoding="utf-8")


def test_a_specimen_has_one_name() -> None:
    names = [name for family in load_families().values() for name in family]
    assert len(names) == len(set(names))
