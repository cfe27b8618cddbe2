"""Debian packages: what is installed, what can be, and installing with a record of exactly what was added."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.provision.command import Completed, Runner, check
from seatrial.provision.context import Context

ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "--no-remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What apt says it would do: packages it would add, and ones it would replace by another version."""

    added: tuple[str, ...]
    upgraded: tuple[str, ...]


def parse_simulation(output: str) -> Simulation:
    """Read the output of `apt-get install --simulate`: `Inst NAME (NEW …)`, `Inst NAME [OLD] (NEW …)`."""
    lines = re.findall(r"^Inst (\S+) (\[)?", output, flags=re.MULTILINE)
    return Simulation(
        added=tuple(name for name, old in lines if not old), upgraded=tuple(name for name, old in lines if old)
    )


def has_candidate(runner: Runner, package: str) -> bool:
    """Tell whether apt knows a version of a package that it may install."""
    done = runner.run(["apt-cache", "policy", package], timeout_s=60.0)
    found = re.search(r"Candidate: (\S+)", done.output)
    return found is not None and found[1] != "(none)"


def find_installed(runner: Runner, packages: Iterable[str]) -> tuple[str, ...]:
    """Return those of `packages` that are installed."""
    names = tuple(packages)
    done = runner.run(["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev}\n", *names], timeout_s=60.0)
    present = {line.split()[0].partition(":")[0] for line in done.output.splitlines() if " ii" in line}
    return tuple(name for name in names if name.partition(":")[0] in present)


def format_install(*packages: str) -> str:
    """Return the command that installs `packages`, to be shown."""
    return " ".join((*INSTALL, *packages))


def install(context: Context, *packages: str, keep_files: bool = False) -> None:
    """Install packages and what they need, and record which were added.

    `keep_files` leaves their configuration and data when they are taken back. Raises ProvisionError.
    """
    context.require_root(f"installing {', '.join(packages)}", (format_install(*packages),))
    if not all(has_candidate(context.runner, package) for package in packages):
        context.progress("apt-get update")
        context.run_as_root("apt-get", "update", what="refreshing the package lists")
    simulated = check(
        context.runner.run([*INSTALL, "--simulate", *packages], as_root=True),
        what=f"resolving {', '.join(packages)}",
        fix=f"see what apt says to: {format_install(*packages)}",
    )
    simulation = parse_simulation(simulated.output)
    context.progress(f"installing {' '.join(simulation.added) or ' '.join(packages)}")
    if simulation.upgraded:
        context.progress(f"which brings newer versions, that undo will keep, of {' '.join(simulation.upgraded)}")
    step = context.record.begin("packages", names=list(simulation.added), keep_files=keep_files)
    done = _install(context.runner, packages)
    if done.returncode != 0:
        # Lists older than the mirror name files that it no longer has.
        context.progress("apt-get update")
        context.run_as_root("apt-get", "update", what="refreshing the package lists")
        done = _install(context.runner, packages)
    check(done, what=f"installing {', '.join(packages)}", fix=f"see what apt says to: {format_install(*packages)}")
    context.record.finish(step)


def ensure_program(context: Context, program: str, package: str) -> None:
    """Install `package` when `program` is not on the PATH."""
    if shutil.which(program) is None:
        install(context, package)


def _install(runner: Runner, packages: tuple[str, ...]) -> Completed:
    return runner.run([*ENVIRONMENT, *INSTALL, *packages], as_root=True, timeout_s=900.0)
