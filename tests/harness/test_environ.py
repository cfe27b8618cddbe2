"""The environment that others are given."""

from __future__ import annotations

import os
import re
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path

import pytest

import seatrial
import seatrial_fixtures
from seatrial.environ import copy_environ

ALL_AT_ONCE = re.compile(
    r"\*\*os\.environ|os\.environ\.(items|copy|values)\(|(?:dict|clean_environ)\(os\.environ\)|env(?:ironment)?=os\.environ\b"
)
IN_ONE_THREAD = {"cli/run.py"}
"""Where nothing else runs yet."""


class Vanishing(UserDict[str, str]):
    """An environment out of which another thread takes a variable between its listing and its look-up."""

    def __iter__(self) -> Iterator[str]:
        yield from ("GONE", *self.data)


def test_a_variable_that_is_taken_out_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", Vanishing(STAYS="1"))

    with pytest.raises(KeyError, match="GONE"):
        dict(os.environ)
    assert copy_environ() == {"STAYS": "1"}


def test_everything_else_is_in_the_copy() -> None:
    assert copy_environ() == dict(os.environ)


@pytest.mark.parametrize("package", [seatrial, seatrial_fixtures], ids=lambda package: package.__name__)
def test_nobody_else_copies_the_environment(package: object) -> None:
    """Targets start in threads, while tests end."""
    root = Path(str(getattr(package, "__file__", None))).parent
    sources = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}

    assert len(sources) > 50
    assert {name for name, source in sources.items() if ALL_AT_ONCE.search(source)} <= IN_ONE_THREAD
