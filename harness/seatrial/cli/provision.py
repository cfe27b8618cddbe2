"""`seatrial provision`: gets what targets lack, or takes back what it got."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.cli.options import Assignments, Targets, load_settings

if TYPE_CHECKING:
    from seatrial.provision import Action, Record
    from seatrial.settings import Settings

# Written into the environment by the wrapper script, which cannot write records.
PACKAGES_FILE = ".seatrial-packages"


@app.command()
def provision(
    target: Targets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and the commands.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was provisioned, and nothing else.")] = False,
    set_: Assignments = None,
) -> None:
    """Install what the targets lack: Docker engine, kind, kubectl, base image, node image. Default: for all targets."""
    settings = load_settings({"target": target or None}, set_)
    if undo:
        from seatrial.provision import undo as take_back

        take_back(open_record(settings), _say)
        return
    if dry_run:
        actions = plan_actions(settings)
        for action in actions:
            sys.stdout.write(f"{action.name}\n  why: {action.why}\n")
            sys.stdout.writelines(f"  would run: {command}\n" for command in action.commands)
        if not actions:
            sys.stdout.write("nothing is lacking: nothing would be done\n")
        return
    provision_targets(settings, _say, must=True)


def provision_targets(settings: Settings, say: Callable[[str], None], *, must: bool = False) -> None:
    """Do what is lacking for the chosen targets (all, when none is chosen).

    Raises ProvisionFailedError when something could not be had and `must`, the setting `require`, CI or a target that
    was named outright makes that a failure; else it is said, and what needs it will not run.
    """
    from seatrial.provision import ProvisionFailedError, apply
    from seatrial.settings import runs_in_ci

    actions = plan_actions(settings)
    if not actions:
        say("provision: nothing is lacking")
        return
    try:
        apply(actions, open_record(settings), lambda line: say(f"provision: {line}"))
    except ProvisionFailedError as exc:
        lacking = {target for failure in exc.failures for target in failure.action.targets}
        if must or settings.general.require or runs_in_ci(os.environ) or lacking & _list_named(settings):
            raise
        for line in str(exc).splitlines():
            say(f"provision: {line}")
        say(f"provision: going on; what needs it will not run: {', '.join(sorted(lacking))}")


def _list_named(settings: Settings) -> set[str]:
    """Return the targets that the user wrote out, not those that `all` stands for."""
    return {word.strip() for expression in settings.general.target for word in expression.split(",")}


def plan_actions(settings: Settings) -> Sequence[Action]:
    """Return what the chosen targets lack."""
    from seatrial.provision import KubernetesSettings, plan
    from seatrial.registry import choose_targets, find_target

    general = settings.general
    targets = choose_targets(general.target or ["all"])
    node_image, node_archive = "", ""
    if "kubernetes" in targets:
        kubernetes = settings.for_target(find_target("kubernetes"))
        node_image, node_archive = kubernetes.node_image or "", kubernetes.node_archive or ""
    wanted = KubernetesSettings(
        node_image=node_image or None,
        node_archive=Path(node_archive) if node_archive else None,
        context=general.kube_context or None,
    )
    return plan(targets, wanted, state_dir=Path(general.state_dir).expanduser())


def open_record(settings: Settings) -> Record:
    """Return the record of what was provisioned on this machine, the packages of the wrapper script included."""
    from seatrial.provision import Record

    state_dir = Path(settings.general.state_dir).expanduser()
    state_dir.mkdir(parents=True, exist_ok=True)
    record = Record(state_dir)
    _adopt_packages(record, Path(sys.prefix) / PACKAGES_FILE)
    return record


def _adopt_packages(record: Record, path: Path) -> None:
    """Record the packages that the wrapper script installed to make this environment, named in `path`, once."""
    if not path.is_file():
        return
    with record.locked():
        if not path.is_file():
            return  # Another process was quicker.
        if names := path.read_text(encoding="utf-8").split():
            record.finish(record.begin("packages", names=names, keep_files=False))
        path.unlink()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
