"""`seatrial report`: writes the reports of a trial's directory again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.app import app
from seatrial.errors import UsageError


@app.command()
def report(directory: Annotated[Path, typer.Argument(help="A trial's directory, with run.json in it.")]) -> None:
    """Write report.html, report.md and junit.xml again from run.json and the histories beside it."""
    import msgspec

    from seatrial.records import decode_run
    from seatrial.trial.report import write_reports

    file = directory / "run.json"
    if not file.is_file():
        raise UsageError(f"{directory} has no run.json", fix="name a trial's directory, e.g. seatrial-results/…")
    try:
        result = decode_run(file.read_bytes())
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} is not a run.json of this version: {error}") from error
    for path in write_reports(result, directory, _say):
        sys.stdout.write(f"{path}\n")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
