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
from seatrial.isolation import clean_environ
from seatrial.owner import Owner

ALL_AT_ONCE = re.compile(
    r"\*\*os\.environ|os\.environ\.(items|copy|values)\(|(?:dict|clean_environ)\(os\.environ\)|env(?:ironment)?=os\.environ\b"
)
SUITES = Path(__file__).parents[1] / "suites"
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


def test_whoever_takes_an_environment_may_be_given_the_one_that_others_change(
    trial_id: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Technologies of others give `os.environ` as it is, from the thread in which their target starts."""
    changing = Vanishing({**copy_environ(), "STAYS": "1"})

    assert clean_environ(changing)["STAYS"] == "1"
    with Owner.start(trial_id, tmp_path / "state") as owner:
        assert owner.spawn(["sh", "-c", "echo $STAYS"], env=changing).wait(timeout=10) == 0
    assert capfd.readouterr().out == "1\n"


def test_no_technology_of_the_tests_copies_the_environment() -> None:
    """They start in threads too, of a trial within a process of its own."""
    plugins = [path for path in SUITES.glob("*.py") if "registry.add(" in path.read_text()]

    assert len(plugins) > 1
    assert [path.name for path in plugins if ALL_AT_ONCE.search(path.read_text())] == []


@pytest.mark.parametrize("package", [seatrial, seatrial_fixtures], ids=lambda package: package.__name__)
def test_nobody_else_copies_the_environment(package: object) -> None:
    """Targets start in threads, while tests end."""
    root = Path(str(getattr(package, "__file__", None))).parent
    sources = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}

    assert len(sources) > 50
    assert {name for name, source in sources.items() if ALL_AT_ONCE.search(source)} <= IN_ONE_THREAD
