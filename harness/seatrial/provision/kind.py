"""kind and kubectl on a machine that lacks them, from Debian packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from seatrial.provision import apt
from seatrial.provision.command import ProvisionError, Runner
from seatrial.provision.context import Context
from seatrial.provision.machine import RELEASES_BY_AGE, Machine
from seatrial.provision.sources import find_mirror, format_preferences, format_source, read_sources

# The first Debian release with a package of kind.
KIND_RELEASE = "trixie"
SOURCE_PATH = f"/etc/apt/sources.list.d/seatrial-{KIND_RELEASE}.sources"
PREFERENCES_PATH = f"/etc/apt/preferences.d/seatrial-{KIND_RELEASE}"
LISTS_DIR = Path("/var/lib/apt/lists")
GET_KIND = "put a kind binary on the PATH: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
GET_KUBECTL = "put a kubectl binary on the PATH: https://kubernetes.io/docs/tasks/tools/"
# Debian and Ubuntu name the package after the source; others after the program.
KUBECTL_PACKAGES = ("kubernetes-client", "kubectl")


def list_kind_commands(runner: Runner, machine: Machine) -> tuple[str, ...]:
    """Return the commands that `ensure_kind` would run, to be shown."""
    install = apt.format_install("kind")
    if not machine.has_apt:
        return (f"none: {GET_KIND}",)
    if apt.has_candidate(runner, "kind"):
        return (install,)
    if _has_package(machine):
        return ("apt-get update", install)
    if not machine.is_debian_before(KIND_RELEASE):
        return (f"none: {GET_KIND}",)
    return (
        f"write {SOURCE_PATH}: {KIND_RELEASE} from this machine's own mirror",
        f"write {PREFERENCES_PATH}: nothing but kind is taken from it",
        " ".join(_update_command()),
        install,
    )


def find_kind_version(runner: Runner) -> str | None:
    """Return what the kind on the PATH says of itself, None when there is none that works."""
    done = runner.run(["kind", "version"], timeout_s=5.0)
    return done.output.strip() if done.returncode == 0 else None


def ensure_kind(context: Context) -> None:
    """Install kind, unless one is on the PATH. Raises ProvisionError."""
    if find_kind_version(context.runner):
        return
    machine = context.machine
    if not machine.has_apt:
        raise ProvisionError(f"kind is not on the PATH, and {machine} has no apt to install it with", fix=GET_KIND)
    context.require_root("installing kind", list_kind_commands(context.runner, machine))
    if not apt.has_candidate(context.runner, "kind") and not _has_package(machine):
        if not machine.is_debian_before(KIND_RELEASE):
            raise ProvisionError(f"kind is not on the PATH, and {machine} has no package of it", fix=GET_KIND)
        _add_source(context)
    apt.install(context, "kind")
    if not find_kind_version(context.runner):
        message = f"kind was installed, but {shutil.which('kind')} does not run"
        raise ProvisionError(message, fix="remove the broken kind that is earlier on the PATH")


def _has_package(machine: Machine) -> bool:
    """Tell whether this release is known to have kind, whatever apt's lists say: they may not be downloaded yet."""
    known = machine.distribution == "debian" and machine.codename in RELEASES_BY_AGE
    return known and not machine.is_debian_before(KIND_RELEASE)


def list_kubectl_commands(runner: Runner, machine: Machine) -> tuple[str, ...]:
    """Return the commands that `ensure_kubectl` would run, to be shown."""
    name = _choose_kubectl_package(runner, machine)
    return (apt.format_install(name),) if name else (f"none: {GET_KUBECTL}",)


def ensure_kubectl(context: Context) -> None:
    """Install kubectl, unless one is on the PATH. Raises ProvisionError."""
    if shutil.which("kubectl"):
        return
    name = _choose_kubectl_package(context.runner, context.machine)
    if name is None:
        raise ProvisionError(f"kubectl is not on the PATH, and {context.machine} has no package of it", fix=GET_KUBECTL)
    apt.install(context, name)


def _choose_kubectl_package(runner: Runner, machine: Machine) -> str | None:
    if not machine.has_apt:
        return None
    return next((name for name in KUBECTL_PACKAGES if apt.has_candidate(runner, name)), None)


def _add_source(context: Context) -> None:
    mirror = find_mirror(read_sources(), context.machine.codename)
    if mirror is None:
        message = f"no source of {context.machine.codename} in /etc/apt, so no mirror to take kind from"
        raise ProvisionError(message, fix=GET_KIND)
    context.progress(f"adding {KIND_RELEASE} of {mirror.uri} to the apt sources, for kind alone")
    # Preferences first: a source without them could upgrade the whole machine.
    for path, content in (
        (PREFERENCES_PATH, format_preferences(KIND_RELEASE, "kind")),
        (SOURCE_PATH, format_source(mirror, KIND_RELEASE)),
    ):
        if not Path(path).exists():
            context.write_as_root(path, content)
    if not list_package_lists(KIND_RELEASE):
        step = context.record.begin("package-lists", codename=KIND_RELEASE)
        context.record.finish(step)
    context.run_as_root(*_update_command(), what=f"reading the package list of {KIND_RELEASE}", fix=GET_KIND)


def list_package_lists(codename: str) -> list[Path]:
    """Return apt's downloaded lists of a release."""
    return sorted(LISTS_DIR.glob(f"*_dists_{codename}_*"))


def _update_command() -> tuple[str, ...]:
    only_ours = ("-o", f"Dir::Etc::SourceList={SOURCE_PATH}", "-o", "Dir::Etc::SourceParts=-")
    return ("apt-get", "update", *only_ours, "-o", "APT::Get::List-Cleanup=0")
