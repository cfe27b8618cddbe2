"""`seatrial explain`: what checks ask, and why."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import AsJson
from seatrial.cli.run import without_pytest_environment
from seatrial.errors import HarnessError, UsageError
from seatrial.suggestion import suggest

if TYPE_CHECKING:
    import pytest

    from seatrial.checks import Check

_WIDTH = 100


@app.command()
def explain(
    check: Annotated[str, typer.Argument(help="The check's id, as in R01; without one, all are listed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell what a check asks, the sentence that it enforces, where that stands, and how to ask it alone.

    Examples:
    seatrial explain              every check, a line each
    seatrial explain B01          one check
    """
    known = collect_checks()
    if check:
        known = [each for each in known if each.check.id.lower() == check.lower()] or _refuse(check, known)
    if as_json:
        sys.stdout.write(json.dumps([_to_json(each) for each in known], indent=2) + "\n")
    elif check:
        sys.stdout.write(render_check(known[0]))
    else:
        width = max(len(each.check.title) for each in known)
        for each in known:
            asked = each.check
            needs = f"  needs {', '.join(sorted(asked.needs))}" if asked.needs else ""
            sys.stdout.write(f"{asked.id:<4} {asked.level:<6} {asked.title:<{width}}  {asked.profile}{needs}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCheck:
    """A check, and the test that asks it."""

    check: Check
    suite: str
    module: str
    function: str
    notes: str


def collect_checks() -> list[KnownCheck]:
    """Return the checks of the suites by their ids, as pytest finds them; nothing is deployed.

    Raises:
        HarnessError: the suites cannot be collected.
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
    return [collector.found[key] for key in sorted(collector.found)]


def render_check(known: KnownCheck) -> str:
    """Return all that is to be said of one check; ends with a newline."""
    check = known.check
    needs = f"targets that claim {', '.join(sorted(check.needs))}" if check.needs else "every target"
    lines = [
        f"{check.id}  {check.title}",
        "",
        *textwrap.wrap(check.sentence, _WIDTH),
        "",
        f"level    {check.level}",
        f"source   {check.source}",
        f"asked    of {needs}, from the profile {check.profile} on ({known.suite})",
    ]
    if known.notes:
        lines += ["", *textwrap.wrap(known.notes, _WIDTH)]
    alone = f"pytest --pyargs {known.module} -k {known.function} --target NAME --seatrial-profile {check.profile}"
    return "\n".join([*lines, "", f"alone    {alone}"]) + "\n"


class _Collector:
    """A pytest plug-in: keeps the check of each test, those that are not chosen too."""

    def __init__(self) -> None:
        self.found: dict[str, KnownCheck] = {}
        self.problem = ""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        from seatrial.checks import MARKER

        mark = item.get_closest_marker(MARKER)
        if mark is None:
            return
        function = getattr(item, "function", None)
        module = str(getattr(item, "module", None).__name__)  # type: ignore[union-attr]
        self.found[mark.args[0].id] = KnownCheck(
            check=mark.args[0],
            suite=Path(item.path).parent.name,
            module=module,
            function=str(getattr(item, "originalname", item.name)),
            notes=" ".join((getattr(function, "__doc__", "") or "").split()),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problem = str(report.longrepr)


def _to_json(known: KnownCheck) -> dict[str, object]:
    return {**asdict(known.check), "needs": sorted(known.check.needs), "suite": known.suite, "notes": known.notes}


def _refuse(check: str, known: list[KnownCheck]) -> list[KnownCheck]:
    raise UsageError(f"there is no check {check!r}.{suggest(check, (each.check.id for each in known))}")
