"""All commands. Each imports what it needs when it runs, so that `--help` stays quick."""

from __future__ import annotations

import importlib
import sys
from typing import Final, NoReturn

import typer

from seatrial.errors import SeatrialError

INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C ended: 128 and the signal's number, as shells have it."""
HELP = """Deploys one machine-learning model for real to every serving technology, asks each the same questions, and says which
answers right, how each behaves, and how fast it is.

\b
  seatrial run                                  the bundled digits model on all that needs no daemon
  seatrial run --target all --provision         all technologies; installs what is missing first
  seatrial run --model my_pkg.model:model --target docker,mlflow
  seatrial check URL --wire v2 --name NAME      the same checks, of an endpoint that already runs
  seatrial load URL --rate 200 --duration 30    response times under a rate that does not wait for the server
  seatrial sagemaker-local                      SageMaker on 127.0.0.1, for boto3 and the AWS CLI, with real containers
  seatrial doctor                               what each target needs, what was found, how to get the rest

\b
Exit codes: 0 ok or partial, 1 a check failed, 2 usage or settings, 3 nothing ran, 4 a requirement is unmet,
5 a regression, 6 a deployment failed, 7 a measurement is invalid.
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
_COMMANDS = (
    "run",
    "build",
    "doctor",
    "provision",
    "clean",
    "listing",
    "explain",
    "report",
    "check",
    "load",
    "calibrate",
    "sagemaker_local",
    "develop",
)


def run_app() -> NoReturn:
    """Run the command line and exit with its code; an error meant for the user is one paragraph, not a traceback."""
    for name in _COMMANDS:
        importlib.import_module(f"seatrial.cli.{name}")
    try:
        app(prog_name="seatrial")
    except SeatrialError as error:
        sys.stderr.write(f"seatrial: {error}\n")
        sys.exit(int(error.exit_code))
    sys.exit(0)
