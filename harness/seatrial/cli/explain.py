"""`seatrial explain`: what checks ask, and why."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import AsJson
from seatrial.errors import UsageError
from seatrial.suggestion import suggest

if TYPE_CHECKING:
    from seatrial.cli.catalogue import KnownCheck

_WIDTH = 100


@app.command()
def explain(
    check: Annotated[str, typer.Argument(help="The check's id, as in R01; without one, all are listed.")] = "",
    document: Annotated[
        bool, typer.Option("--document", help="The conformance document, in Markdown: every check and target.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a check asks, the sentence that it enforces, where that stands, and how to ask it alone.

    Examples:
    seatrial explain              every check, a line each
    seatrial explain B01          one check
    seatrial explain --document   all there is to say of all of them, as docs/conformance.md
    """
    if document and (check or as_json):
        raise UsageError("--document tells of every check, in Markdown", fix="leave out the id, and --json")
    from seatrial.cli.catalogue import collect_checks

    catalogue = collect_checks()
    known: Sequence[KnownCheck] = catalogue.checks
    if check:
        known = [each for each in known if each.check.id.lower() == check.lower()] or _refuse(check, known)
    if document:
        from seatrial.cli.conformance_document import render_document

        sys.stdout.write(render_document(catalogue))
    elif as_json:
        sys.stdout.write(json.dumps([_to_json(each) for each in known], indent=2) + "\n")
    elif check:
        sys.stdout.write(render_check(known[0]))
    else:
        width = max(len(each.check.title) for each in known)
        for each in known:
            asked = each.check
            needs = f"  needs {', '.join(sorted(asked.needs))}" if asked.needs else ""
            over = f"  over {', '.join(sorted(asked.wires))}" if asked.wires else ""
            sys.stdout.write(f"{asked.id:<4} {asked.level:<6} {asked.title:<{width}}  {asked.profile}{needs}{over}\n")


def render_check(known: KnownCheck) -> str:
    """Return all that is to be said of one check; ends with a newline."""
    check = known.check
    needs = f"targets that claim {', '.join(sorted(check.needs))}" if check.needs else "every target"
    over = f", over {', '.join(sorted(check.wires))}" if check.wires else ""
    lines = [
        f"{check.id}  {check.title}",
        "",
        *textwrap.wrap(check.sentence, _WIDTH),
        "",
        f"level    {check.level}",
        f"source   {check.source}",
        f"asked    of {needs}{over}, from the profile {check.profile} on ({known.suite})",
        f"since    {check.since}",
    ]
    if check.covers:
        lines.append(f"covers   {', '.join(sorted(check.covers))}")
    if known.notes:
        lines += ["", *textwrap.wrap(known.notes, _WIDTH)]
    alone = f"pytest --pyargs {known.module} -k {known.function} --target NAME --seatrial-profile {check.profile}"
    if not known.function:
        alone = f"seatrial run --target NAME,ANOTHER --profile {check.profile}"
    return "\n".join([*lines, "", f"alone    {alone}"]) + "\n"


def _to_json(known: KnownCheck) -> dict[str, object]:
    sets = {name: sorted(getattr(known.check, name)) for name in ("needs", "wires", "covers")}
    return {**asdict(known.check), **sets, "suite": known.suite, "notes": known.notes}


def _refuse(check: str, known: Sequence[KnownCheck]) -> list[KnownCheck]:
    raise UsageError(f"there is no check {check!r}.{suggest(check, (each.check.id for each in known))}")
