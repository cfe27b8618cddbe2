"""`seatrial doctor`: what each target needs, what was found, how to get the rest."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import AsJson, Assignments, Targets, load_settings
from seatrial.errors import ExitCode, UsageError
from seatrial.requirement import Requirement

if TYPE_CHECKING:
    from seatrial.settings import Settings


@app.command()
def doctor(
    target: Targets = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 when something is lacking.")] = False,
    set_: Assignments = None,
) -> None:
    """Say what each target needs, what was found, and how to get the rest. Changes nothing."""
    settings = load_settings({"target": target or None}, set_)
    found = examine(settings)
    if as_json:
        rows = {name: [asdict(each) for each in requirements] for name, requirements in found.items()}
        sys.stdout.write(json.dumps({"schema": "seatrial.doctor/1", "targets": rows}, indent=2) + "\n")
    else:
        for name, requirements in found.items():
            ready = all(each.found for each in requirements)
            sys.stdout.write(f"{name}: {'ready' if ready else 'lacks something'}\n")
            sys.stdout.writelines(_describe(each) for each in requirements)
    if strict and not all(each.found for requirements in found.values() for each in requirements):
        raise typer.Exit(int(ExitCode.REQUIREMENT_UNMET))


def examine(settings: Settings) -> dict[str, list[Requirement]]:
    """Return what each chosen target (all that deploy, when none is chosen) needs."""
    from seatrial.registry import choose_targets, find_target

    found: dict[str, list[Requirement]] = {}
    for name in choose_targets(settings.general.target or ["all"]):
        try:
            target = find_target(name)
        except UsageError as error:
            found[name] = [Requirement(name=f"extra {name}", found=False, detail=error.message, fix=error.fix)]
            continue
        found[name] = list(target.probe_requirements(settings.for_target(target)))
    return found


def _describe(requirement: Requirement) -> str:
    mark = "ok     " if requirement.found else "missing"
    line = f"  {mark}  {requirement.name}: {requirement.detail}\n"
    return line if requirement.found else f"{line}           to get it: {requirement.fix}\n"
