"""The checks of our own suites, whether pytest has collected them or not."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from seatrial.checks import MARKER, Check

SUITES: Final = "seatrial_suites"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCheck:
    """A check of a suite of ours, with the names of the marks of its test and its module."""

    check: Check
    marks: frozenset[str]


def is_of_suites(module_name: str) -> bool:
    """Whether a module is one of our suites."""
    return module_name.partition(".")[0] == SUITES


def list_suite_checks() -> Iterator[SuiteCheck]:
    """Yield them all, by importing their modules; none where the suites are not installed."""
    found = importlib.util.find_spec(SUITES)
    places = found.submodule_search_locations if found is not None else None
    for info in pkgutil.walk_packages(places or (), f"{SUITES}."):
        if info.name.rpartition(".")[2].startswith("test_"):
            module = importlib.import_module(info.name)
            of_module = _list_marks(module)
            for value in vars(module).values():
                marks = _list_marks(value) if callable(value) else []
                names = frozenset(mark.name for mark in (*of_module, *marks))
                yield from (SuiteCheck(check=mark.args[0], marks=names) for mark in marks if mark.name == MARKER)


def _list_marks(owner: Any) -> list[Any]:
    marks = getattr(owner, "pytestmark", [])
    return marks if isinstance(marks, list) else [marks]
