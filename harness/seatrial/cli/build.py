"""`seatrial build`: a model's directories, to keep, look at, or hand to another machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.app import app
from seatrial.errors import UsageError


@app.command()
def build(
    model: Annotated[
        str, typer.Argument(help="A bundled name, package.module:attribute, an MLflow directory, an ONNX file.")
    ],
    directory: Annotated[
        Path, typer.Argument(help="Where the model's directories go, one a version; made if need be.")
    ],
) -> None:
    """Build a model's directories: artifact, code, manifest, golden cases. `--model DIRECTORY` takes one."""
    from seatrial.model_source import build_model, find_model
    from seatrial.owner import Owner
    from seatrial.trial.directory import new_run_id

    source = find_model(model)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not an empty directory", fix="name one that is, or that is not there yet")
    sys.stderr.write(f"model {source.given}: runs {source.origin}\n")
    with (
        tempfile.TemporaryDirectory(prefix="seatrial-build-") as state,
        Owner.start(new_run_id(), Path(state)) as owner,
    ):
        built = build_model(source, directory.resolve(), owner)
    for version in built:
        sys.stdout.write(f"{version.path}  {version.name} {version.version}, {len(version.cases)} golden cases\n")
