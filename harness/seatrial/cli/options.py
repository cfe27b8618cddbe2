"""Options that several commands share, and what they become: settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.errors import UsageError

if TYPE_CHECKING:
    from seatrial.settings import Settings

Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", help="Targets: docker,mlflow or all or !gradio; repeats and commas. See `seatrial targets`."
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Any setting, e.g. targets.kubernetes.node_image=kindest/node:v1.34.0."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# What needs no daemon: the default of `seatrial run`.
NO_DAEMON = ("inprocess", "local", "gradio", "mlflow", "sagemaker")


def load_settings(given: Mapping[str, Any], assignments: Sequence[str] | None) -> Settings:
    """Return the settings of this directory and environment with the command line's on top; None means not given.

    Raises:
        UsageError: a setting that is unknown or of the wrong type.
    """
    from seatrial.settings import check_settings, read_settings

    settings = read_settings(Path.cwd(), os.environ)
    settings = settings.with_given({name: value for name, value in given.items() if value is not None}, "command line")
    for pair in assignments or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {pair!r} is not NAME=VALUE")
        settings = settings.with_given({name: value}, f"--set {name}")
    check_settings(settings)
    return settings
