"""Which checks there are: what the suites ask, and what stands on their list and is not asked."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks import MARKER, Check, sort_by_group
from seatrial.cli.run import without_pytest_environment
from seatrial.errors import HarnessError
from seatrial.records import Level
from seatrial.trial.equality import EQUALITY, NOTES

if TYPE_CHECKING:
    import pytest

NOT_ASKED_NAME = "not_asked.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCheck:
    """A check, and the test that asks it; module and function are empty where the trial itself does, from its records."""

    check: Check
    suite: str
    module: str
    function: str
    notes: str


BY_THE_TRIAL = KnownCheck(check=EQUALITY, suite="conformance", module="", function="", notes=NOTES)


class NotAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands on the list of checks and is not asked, and why."""

    id: str
    title: str
    level: Level
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The checks by their ids, and what is not asked, in the order of the groups."""

    checks: tuple[KnownCheck, ...]
    not_asked: tuple[NotAsked, ...]


def collect_checks() -> Catalogue:
    """Return the checks of the suites, as pytest finds them, and the trial's own; and what the suites' lists say is not asked.

    Nothing is deployed.

    Raises:
        HarnessError: the suites cannot be collected, or a list of theirs cannot be read.
    """
    import pytest

    collector = _Collector()
    off = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "seatrial.plugin", "--noconftest"]
    chosen = ["--target", "local", "--seatrial-profile", "nightly", "--seatrial-suite", "all"]
    with without_pytest_environment():
        code = pytest.main(
            ["--collect-only", "--pyargs", "seatrial_suites", "-c", os.devnull, *off, *chosen], plugins=[collector]
        )
    if code != pytest.ExitCode.OK or not collector.found:
        raise HarnessError(f"the suites cannot be collected: {collector.problem or f'pytest ended with {code}'}")
    found = {**collector.found, BY_THE_TRIAL.check.id: BY_THE_TRIAL}
    not_asked = {each.id: each for directory in sorted(collector.directories) for each in read_not_asked(directory)}
    return Catalogue(
        checks=tuple(found[each] for each in sort_by_group(sorted(found))),
        not_asked=tuple(not_asked[each] for each in sort_by_group(sorted(not_asked))),
    )


def read_not_asked(directory: Path) -> list[NotAsked]:
    """Return what a suite's own list says is not asked; none where it has no list.

    Raises:
        HarnessError: the list is none.
    """
    path = directory / NOT_ASKED_NAME
    if not path.is_file():
        return []
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("check", [])
        return msgspec.convert(rows, type=list[NotAsked])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise HarnessError(f"{path} is no list of checks: {error}") from error


class _Collector:
    """A pytest plug-in: keeps the check of each test, those that are not chosen too."""

    def __init__(self) -> None:
        self.found: dict[str, KnownCheck] = {}
        self.directories: set[Path] = set()
        self.problem = ""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        mark = item.get_closest_marker(MARKER)
        if mark is None:
            return
        function = getattr(item, "function", None)
        module = str(getattr(item, "module", None).__name__)  # type: ignore[union-attr]
        directory = Path(item.path).parent
        self.directories.add(directory)
        self.found[mark.args[0].id] = KnownCheck(
            check=mark.args[0],
            suite=directory.name,
            module=module,
            function=str(getattr(item, "originalname", item.name)),
            notes=" ".join((getattr(function, "__doc__", "") or "").split()),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problem = str(report.longrepr)
