"""Checks that deploy of their own are asked apart, and ask what all share in their turn."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import seatrial_suites.conformance
from seatrial.checks import MARKER, Check


def list_tests() -> dict[str, tuple[Check, frozenset[str]]]:
    """Checks of the conformance suite with the names of the fixtures they take, by the name of their test."""
    found = {}
    for info in pkgutil.iter_modules(seatrial_suites.conformance.__path__, "seatrial_suites.conformance."):
        if info.name.rpartition(".")[2].startswith("test_"):
            for name, value in vars(importlib.import_module(info.name)).items():
                marks = (
                    [mark for mark in getattr(value, "pytestmark", []) if mark.name == MARKER]
                    if callable(value)
                    else []
                )
                if marks:
                    found[f"{info.name}::{name}"] = (marks[0].args[0], frozenset(inspect.signature(value).parameters))
    return found


def test_whoever_deploys_of_its_own_is_asked_apart() -> None:
    tests = list_tests()

    apart = {name for name, (check, _) in tests.items() if check.apart}
    assert apart == {name for name, (_, fixtures) in tests.items() if "seatrial_deploy" in fixtures}
    assert len(apart) >= 4
    shares = {name for name in apart if "seatrial_deployment" in tests[name][1]}
    assert {name for name in shares if "seatrial_turn" not in tests[name][1]} == set()


@pytest.mark.parametrize("name", ["seatrial_load", "seatrial_capacity", "seatrial_floor"])
def test_none_that_is_asked_apart_measures(name: str) -> None:
    assert not [test for test, (check, fixtures) in list_tests().items() if check.apart and name in fixtures]
