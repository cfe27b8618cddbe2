"""`seatrial clean`: finds and removes what survived the end of a trial."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import load_settings
from seatrial.errors import ExitCode


@app.command()
def clean(
    cache: Annotated[bool, typer.Option("--cache", help="Also images kept for the next trial.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove what trials that are no longer alive left behind; a living trial's things are never touched."""
    from seatrial.owner import find_leftovers, sweep
    from seatrial.provision.engine_api import find_engine_url, is_answering

    state_dir = Path(load_settings({}, None).general.state_dir).expanduser()
    url = find_engine_url()
    hosts = [url] if is_answering(url) else []
    if not hosts:
        sys.stderr.write(f"no Docker engine answers at {url}: looking for everything else\n")
    act = find_leftovers if dry_run else sweep
    leftovers = act(state_dir, docker_hosts=hosts, cache=cache)
    for left in leftovers:
        sys.stdout.write(f"{left.how}: {left.kind} {left.id} of trial {left.trial_id}\n")
    sys.stdout.write(f"{len(leftovers)} found\n")
    if not dry_run and not all(left.is_gone for left in leftovers):
        raise typer.Exit(int(ExitCode.CHECK_FAILED))
