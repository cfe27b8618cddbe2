"""`targets`, `models`, `config`, `schema`: what there is, and what holds."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from seatrial.cli.app import app
from seatrial.cli.options import AsJson, Assignments, load_settings
from seatrial.errors import UsageError


@app.command()
def targets(as_json: AsJson = False) -> None:
    """List the targets: what each can do."""
    from seatrial import registry

    rows = []
    for name in registry.names(registry.TARGETS_GROUP):
        try:
            target = registry.find_target(name)
        except UsageError as error:
            rows.append({"name": name, "about": error.message, "capabilities": []})
            continue
        about = " ".join((type(target).__doc__ or "").split())
        rows.append({"name": name, "about": about, "capabilities": sorted(target.capabilities)})
    _print_rows(rows, as_json=as_json)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the bundled models; --model also takes package.module:attribute, a directory, or an ONNX file."""
    from seatrial.model_source import registered_models

    _print_rows([{"name": name, "about": value} for name, value in registered_models().items()], as_json=as_json)


@app.command()
def config(
    show: Annotated[bool, typer.Option("--show", help="Print every setting, its value and where it came from.")] = True,
    as_json: AsJson = False,
    set_: Assignments = None,
) -> None:
    """Print every setting, its value and where it came from: default < pyproject.toml < environment < command line."""
    if not show:
        return
    settings = load_settings({}, set_)
    rows = [{"name": name, "value": value, "source": source} for name, value, source in settings.list_all()]
    _print_rows(rows, as_json=as_json)


@app.command()
def schema(
    of: Annotated[
        str,
        typer.Option(
            help="run: run.json; load, check, calibration: what these commands write with --json; capacity: what "
            "`seatrial load --find-rate` does."
        ),
    ] = "run",
) -> None:
    """Print the JSON Schema of run.json, or of another file."""
    import msgspec

    from seatrial.check_result import CheckResult
    from seatrial.load.calibration import Calibration
    from seatrial.load.capacity import Capacity
    from seatrial.load.result import LoadResult
    from seatrial.records import RunResult

    kinds: dict[str, type] = {
        "run": RunResult,
        "load": LoadResult,
        "check": CheckResult,
        "capacity": Capacity,
        "calibration": Calibration,
    }
    if of not in kinds:
        raise UsageError(f"--of is {of!r}, one of {', '.join(kinds)} was expected")
    sys.stdout.write(json.dumps(msgspec.json.schema(kinds[of]), indent=2) + "\n")


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        rest = "  ".join(_show(value) for key, value in row.items() if key != "name")
        sys.stdout.write(f"{row['name']!s:<{width}}  {rest}\n")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_show(part)}' for key, part in value.items())}}}"
    return f"({', '.join(map(_show, value))})" if isinstance(value, list) else str(value)
