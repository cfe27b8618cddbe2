"""Checks that deploy of their own are asked apart, and ask what all share in their turn."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seatrial_suites.conformance
from seatrial.checks import MARKER, Check


def list_tests() -> dict[str, tuple[Check, Callable[..., Any]]]:
    """Checks of the conformance suite with their functions, by the name of their test."""
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
                    found[f"{info.name}::{name}"] = (marks[0].args[0], value)
    return found


def list_fixtures(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def find_out_of_turn(function: Callable[..., Any]) -> list[int]:
    """Return the lines on which a function touches the shared deployment though it has no turn; its type is no secret."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    return list(_walk_out_of_turn(definition))


def _walk_out_of_turn(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.Name) and node.id == "seatrial_deployment":
        yield node.lineno
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return
    if isinstance(node, ast.With) and any(_takes_turn(item.context_expr) for item in node.items):
        for item in itertools.takewhile(lambda each: not _takes_turn(each.context_expr), node.items):
            yield from _walk_out_of_turn(item)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk_out_of_turn(child)


def _takes_turn(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "seatrial_turn"


def test_whoever_deploys_of_its_own_is_asked_apart() -> None:
    tests = list_tests()

    apart = {name for name, (check, _) in tests.items() if check.apart}
    assert apart == {name for name, (_, function) in tests.items() if "seatrial_deploy" in list_fixtures(function)}
    assert len(apart) >= 4


def test_what_all_share_is_asked_in_turn() -> None:
    apart = {name: function for name, (check, function) in list_tests().items() if check.apart}

    assert len([name for name, function in apart.items() if "seatrial_deployment" in list_fixtures(function)]) >= 3
    assert {name: lines for name, function in apart.items() if (lines := find_out_of_turn(function))} == {}


def test_who_asks_out_of_turn_is_found() -> None:
    def ask(seatrial_deployment: Any, seatrial_turn: Any) -> None:
        model = seatrial_deployment.model
        with seatrial_turn():
            seatrial_deployment.ask(model)
        with seatrial_deployment.open(), seatrial_turn():
            pass

    assert find_out_of_turn(ask) == [2, 5]


@pytest.mark.parametrize("name", ["seatrial_load", "seatrial_capacity", "seatrial_floor"])
def test_none_that_is_asked_apart_measures(name: str) -> None:
    assert not [
        test for test, (check, function) in list_tests().items() if check.apart and name in list_fixtures(function)
    ]
