"""Taking back what provisioning did, from its record: the last step first, and nothing that was there before."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatrial.provision import apt, debootstrap, kind, network
from seatrial.provision.command import ProvisionError, Runner, SystemRunner, check, root_command
from seatrial.provision.context import Context, Progress
from seatrial.provision.daemon import stop_daemon
from seatrial.provision.engine import SOCKET_CONFIG, WRAPPER_PATH
from seatrial.provision.engine_api import (
    EngineUnavailableError,
    ask_engine,
    explaining,
    find_image,
    is_answering,
    open_client,
)
from seatrial.provision.record import Record, Step

# Taking these back ends the engine, and with it whatever runs on it.
ENGINE_STEPS = frozenset({"engine", "service"})


def undo(record: Record, progress: Progress, *, runner: Runner | None = None) -> None:
    """Take back every step of `record`. Raises ProvisionError at the first that cannot be; the rest stay recorded."""
    with record.locked():
        chosen = runner or SystemRunner()
        debootstrap.remove_stale_trees(chosen, progress)
        if not record.steps:
            progress("nothing to take back: nothing was provisioned from here")
            return
        context = Context(record=record, progress=progress, runner=chosen)
        commands = tuple(f"take back {step.kind} {step.data}" for step in record.steps)
        context.require_root("taking back what was provisioned", commands)
        if any(step.kind in ENGINE_STEPS for step in record.steps):
            _require_idle_engine()
        for step in reversed(record.steps.copy()):
            _HOW[step.kind](context, step)
            record.drop(step)


def _require_idle_engine() -> None:
    try:
        containers: list[dict[str, Any]] = ask_engine("/containers/json?all=1")
    except EngineUnavailableError:
        return
    if containers:
        names = ", ".join(sorted(name.lstrip("/") for one in containers for name in one["Names"]))
        message = f"the engine that provisioning started has {len(containers)} containers, expected none: {names}"
        raise ProvisionError(message, fix="`seatrial clean`, or `docker rm -f` what is no longer needed, then again")


def _undo_packages(context: Context, step: Step) -> None:
    installed = apt.find_installed(context.runner, step.data["names"])
    if not installed:
        return
    verb = "remove" if step.data["keep_files"] else "purge"
    command = ("apt-get", verb, "-y", *installed)
    simulated = check(
        context.runner.run([*command, "--simulate"], as_root=True),
        what=f"resolving the removal of {', '.join(installed)}",
        fix=f"see what apt says to: {' '.join(root_command(command))}",
    )
    going = set(re.findall(r"^(?:Purg|Remv) (\S+)", simulated.output, flags=re.MULTILINE))
    others = sorted({name.partition(":")[0] for name in going} - {name.partition(":")[0] for name in installed})
    if others:
        message = f"removing {', '.join(installed)} would also remove {', '.join(others)}, which came from elsewhere"
        raise ProvisionError(message, fix=f"remove {', '.join(others)} first, if they are not needed")
    context.progress(f"removing {' '.join(installed)}")
    context.run_as_root(*apt.ENVIRONMENT, *command, what=f"removing {', '.join(installed)}")


def _undo_file(context: Context, step: Step) -> None:
    path = step.data["path"]
    context.progress(f"removing {path}")
    context.run_as_root("rm", "-f", path, what=f"removing {path}")
    if path in {str(WRAPPER_PATH), str(SOCKET_CONFIG)}:
        # The directory is our own, but may hold what somebody else put there.
        context.runner.run(["rmdir", str(Path(path).parent)], as_root=True, timeout_s=10.0)
    if path == str(SOCKET_CONFIG):
        context.run_as_root("systemctl", "daemon-reload", what="forgetting the configuration of the engine's socket")


def _undo_package_lists(context: Context, step: Step) -> None:
    lists = [str(path) for path in kind.list_package_lists(step.data["codename"])]
    if lists:
        context.run_as_root("rm", "-f", *lists, what="removing package lists")


def _undo_image(context: Context, step: Step) -> None:
    reference = step.data["reference"]
    if not is_answering() or not (found := find_image(reference)):
        return
    if step.done and found["Id"] != step.data["image_id"]:
        context.progress(f"leaving {reference}: it is another image than the one that was loaded")
        return
    context.progress(f"removing the image {reference}")
    fix = "remove what uses it, then again"
    with open_client(timeout_s=120) as client, explaining(f"removing the image {reference}", fix=fix):
        client.images.remove(reference)


def _undo_service(context: Context, step: Step) -> None:
    if step.data["started"]:
        units = ("docker.service", "docker.socket")
        context.run_as_root(
            "systemctl", "stop", *units, what="stopping the Docker engine", fix="see: journalctl -u docker"
        )


def _undo_network(context: Context, step: Step) -> None:
    if context.runner.run(["systemctl", "is-active", "--quiet", "docker"], timeout_s=30.0).returncode == 0:
        context.progress("leaving the network as it is: the engine still runs")
        return
    network.restore(context.runner, step.data, context.progress)


def _undo_engine(context: Context, step: Step) -> None:
    if not step.data["data_root_existed"]:
        _tell_losses(context)
    stop_daemon(context, step.data)


def _tell_losses(context: Context) -> None:
    with contextlib.suppress(EngineUnavailableError):
        images, volumes = ask_engine("/images/json"), ask_engine("/volumes")["Volumes"] or []
        if images or volumes:
            context.progress(f"with the engine go {len(images)} images and {len(volumes)} volumes that were made since")


def _undo_group(context: Context, step: Step) -> None:
    name = step.data["name"]
    entry = context.runner.run(["getent", "group", name], timeout_s=10.0)
    members = entry.output.strip().rpartition(":")[2]
    if members:
        context.progress(f"leaving the group {name}: {members} joined it since")
    elif entry.returncode == 0:
        context.run_as_root("groupdel", name, what=f"removing the group {name}")


_HOW: dict[str, Callable[[Context, Step], None]] = {
    "packages": _undo_packages,
    "group": _undo_group,
    "file": _undo_file,
    "package-lists": _undo_package_lists,
    "image": _undo_image,
    "service": _undo_service,
    "network": _undo_network,
    "engine": _undo_engine,
}
