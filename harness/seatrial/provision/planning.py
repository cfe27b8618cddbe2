"""What has to be done so that targets can run here, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import SeatrialError
from seatrial.provision import base_image, engine, kind, node_image, requirements
from seatrial.provision.command import ProvisionError, Runner, SystemRunner
from seatrial.provision.context import Context, Progress
from seatrial.provision.machine import Machine, inspect_machine
from seatrial.provision.record import Record
from seatrial.provision.settings import KubernetesSettings
from seatrial.requirement import Requirement

IMAGE_TARGETS = frozenset({"docker", "kubernetes", "sagemaker"})
ENGINE = "Docker engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that will be done: what, why, the commands it amounts to, and the doing of it."""

    name: str
    why: str
    commands: tuple[str, ...]
    run: Callable[[Context], object]
    targets: frozenset[str] = frozenset()
    needs_engine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An action that could not be done, and why."""

    action: Action
    error: SeatrialError


class ProvisionFailedError(ProvisionError):
    """Some actions could not be done, the others were: `failures` holds each of them."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        told = [f"{failure.action.name}: {failure.error.message}" for failure in failures]
        fixes = dict.fromkeys(failure.error.fix for failure in failures if failure.error.fix)
        super().__init__("\n".join(told), fix="; ".join(fixes))
        self.failures = tuple(failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A requirement of some targets and the action that meets it."""

    name: str
    targets: frozenset[str]
    probe: Callable[[], Requirement]
    commands: Callable[[], tuple[str, ...]]
    run: Callable[[Context], object]
    needs_engine: bool = False


def plan(
    targets: Sequence[str],
    settings: KubernetesSettings,
    *,
    machine: Machine | None = None,
    runner: Runner | None = None,
    state_dir: Path | None = None,
) -> list[Action]:
    """Return what `targets` lack on this machine, in the order to be done. Changes nothing.

    Whether registries answer is remembered in `state_dir` (default: that of the settings).
    """
    facts, tool = machine or inspect_machine(), runner or SystemRunner()
    wanted = set(targets)
    needs = [need for need in _list_needs(settings, facts, tool, state_dir) if need.targets & wanted]
    actions = []
    for need in needs:
        requirement = need.probe()
        if not requirement.found:
            action = Action(
                name=need.name,
                why=f"{', '.join(sorted(need.targets & wanted))}: {requirement.detail}",
                commands=need.commands(),
                run=need.run,
                targets=need.targets & wanted,
                needs_engine=need.needs_engine,
            )
            actions.append(action)
    return actions


def apply(actions: Sequence[Action], record: Record, progress: Progress) -> None:
    """Do `actions`, each recorded in `record` before it is done. One that fails does not keep the others from it.

    Raises ProvisionFailedError (an UnmetRequirementError) at the end when some failed; what was done stays recorded.
    """
    if not actions:
        return
    failures: list[Failure] = []
    with record.locked():
        context = Context(record=record, progress=progress)
        for action in actions:
            if action.needs_engine and any(failure.action.name == ENGINE for failure in failures):
                progress(f"{action.name}: left out, for it needs the {ENGINE}")
                continue
            progress(action.name)
            try:
                action.run(context)
            except SeatrialError as exc:
                progress(f"{action.name}: failed, going on with the rest")
                failures.append(Failure(action=action, error=exc))
    if failures:
        raise ProvisionFailedError(failures)


def _list_needs(settings: KubernetesSettings, machine: Machine, runner: Runner, state_dir: Path | None) -> list[_Need]:
    local = frozenset() if settings.context else frozenset({"kubernetes"})
    images = IMAGE_TARGETS - (frozenset({"kubernetes"}) - local)
    return [
        _Need(
            name=ENGINE,
            targets=images,
            probe=requirements.probe_docker,
            commands=lambda: engine.list_commands(machine),
            run=engine.ensure_engine,
        ),
        _Need(
            name="kind",
            targets=local,
            probe=lambda: requirements.probe_kind(settings),
            commands=lambda: kind.list_kind_commands(runner, machine),
            run=kind.ensure_kind,
        ),
        _Need(
            name="kubectl",
            targets=frozenset({"kubernetes"}),
            probe=requirements.probe_kubectl,
            commands=lambda: kind.list_kubectl_commands(runner, machine),
            run=kind.ensure_kubectl,
        ),
        _Need(
            name="node image",
            targets=local,
            probe=lambda: requirements.probe_node_image(settings, state_dir),
            commands=lambda: node_image.list_commands(settings),
            run=lambda context: node_image.ensure_node_image(context, settings),
            needs_engine=True,
        ),
        _Need(
            name="base image",
            targets=images,
            # One that can be pulled is pulled now: provisioning is for what takes time, too.
            probe=requirements.probe_present_base_image,
            commands=base_image.list_commands,
            run=base_image.provision_base_image,
            needs_engine=True,
        ),
    ]
