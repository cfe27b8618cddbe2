"""`seatrial check`: the checks of an endpoint that already runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.app import INTERRUPTED, app
from seatrial.cli.run import Progress


@app.command()
def check(  # noqa: PLR0917 - each is an option, given by name
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="http://HOST:PORT, https://HOST, or unix:/PATH for the wire frame: without the path that the wire adds. On "
            "this machine, unless --allow-remote names its host.",
        ),
    ],
    wire: Annotated[
        str, typer.Option(metavar="W", help="How it is asked: v2, sagemaker, mlflow, gradio-run, gradio-call, frame.")
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="A model directory, as `seatrial build NAME DIR` writes: its signature and golden cases are used, none of its "
            "code is run. Without one, the wire v2 is asked by what the server tells of its model.",
        ),
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the model (v2) or the function (gradio) is called there. Default: that of --model for v2; else the only "
            "one, where the server tells.",
        ),
    ] = "",
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'", help="Sent with every question; repeats. Its value is told and recorded nowhere."
        ),
    ] = None,
    ca_file: Annotated[
        str, typer.Option(metavar="FILE", help="https: certificates, PEM, to trust instead of the system's.")
    ] = "",
    profile: Annotated[str, typer.Option(help="How much is asked: smoke, standard or nightly.")] = "standard",
    check_ids: Annotated[
        list[str] | None,
        typer.Option(
            "--check", metavar="ID", help="Ask just this, whatever its profile; repeats. See `seatrial explain`."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of everything random: the same one asks the same questions.", min=0)
    ] = None,
    allow_remote: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="A host that is not this machine, and may be sent what is malformed; repeats."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep the trial's directory, with its report, below this one.")
    ] = None,
    json_file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write the result there; - for standard output.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Ask the conformance checks of an endpoint that already runs.

    \b
    seatrial check http://127.0.0.1:8080 --wire v2 --name digits
    seatrial build digits model
    seatrial check http://127.0.0.1:8080 --wire v2 --model model/digits-1
    seatrial check http://127.0.0.1:5000 --wire mlflow --model model/digits-1 --json check.json
    seatrial check http://127.0.0.1:8080 --wire v2 --name digits --check B01 --check N01
    seatrial check https://models.example --wire v2 --name digits --header 'Authorization: Bearer …' --allow-remote models.example

    With --model every answer is compared with the model's own. Without, questions are made of the signature that the server
    tells, and what it answers to each alone is what it must answer again: in a batch, beside others, after something that was
    refused. Whether that is right cannot be told then, so the golden cases (R01) are not run; the verdict is partial.

    The endpoint is not killed, stopped or updated: checks that need that are unsupported. Others send what is malformed. Nothing
    is left on this machine but what --json and --out name.

    Progress goes to standard error; nothing with -q. The file of --json: docs/check.md.

    \b
    Exit codes: 0 all that was asked holds; 1 a check failed; 2 usage; 3 nothing ran, the URL does not answer; 6 it answers, and
    not one question, or the checks themselves broke; 130 interrupted, with what there is.
    """
    from seatrial.cli import check_order, check_runs

    options = check_order.CheckOptions(
        url=url,
        wire=wire,
        model=model,
        name=name,
        headers=tuple(header or ()),
        ca_file=ca_file,
        profile=profile,
        check_ids=tuple(check_ids or ()),
        seed=seed,
        allowed=tuple(allow_remote or ()),
        out=out,
        json_file=json_file,
    )
    try:
        code = check_runs.conduct(check_order.read_order(options, os.environ), Progress(quiet=quiet))
    except KeyboardInterrupt:
        sys.stderr.write("seatrial: interrupted before anything was checked\n")
        code = INTERRUPTED
    raise typer.Exit(code)
