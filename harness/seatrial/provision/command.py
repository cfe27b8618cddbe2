"""Running other programs, as root where that is needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seatrial.environ import copy_environ
from seatrial.errors import UnmetRequirementError

EVIDENCE_LINES = 12


class ProvisionError(UnmetRequirementError):
    """A step of provisioning could not be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ended. `output` is its standard output and error, in the order written."""

    argv: tuple[str, ...]
    returncode: int
    output: str


class Runner(Protocol):
    """Runs a program to its end."""

    def run(
        self, argv: Sequence[str], *, as_root: bool = False, stdin: str | None = None, timeout_s: float = 600.0
    ) -> Completed:
        """Run `argv` and return how it ended. A program that does not exist or does not end gives returncode 127, 124."""
        ...


class SystemRunner:
    """Runs programs on this machine; as root means directly, or by `sudo -n`."""

    def run(
        self, argv: Sequence[str], *, as_root: bool = False, stdin: str | None = None, timeout_s: float = 600.0
    ) -> Completed:
        """Run `argv` to its end, without asking for a password or anything else."""
        command = tuple(argv) if not as_root else root_command(argv)
        try:
            done = subprocess.run(
                command,
                input=stdin if stdin is not None else "",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
                env={**copy_environ(), "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError:
            return Completed(argv=command, returncode=127, output=f"{command[0]}: not found")
        except subprocess.TimeoutExpired as expired:
            seen = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else ""
            return Completed(argv=command, returncode=124, output=f"{seen}\ndid not end within {timeout_s:.0f} s")
        return Completed(argv=command, returncode=done.returncode, output=done.stdout)


def root_command(argv: Sequence[str]) -> tuple[str, ...]:
    """Return `argv` as this user has to type it to run it as root."""
    return tuple(argv) if os.geteuid() == 0 else ("sudo", "-n", *argv)


def can_be_root(runner: Runner) -> bool:
    """Tell whether commands can be run as root without anybody typing a password."""
    return os.geteuid() == 0 or runner.run(["sudo", "-n", "true"], timeout_s=5.0).returncode == 0


def check(done: Completed, *, what: str, fix: str) -> Completed:
    """Return `done`, or raise ProvisionError with the last lines of its output when it failed."""
    if done.returncode == 0:
        return done
    message = f"{what} failed: `{' '.join(done.argv)}` ended with {done.returncode}, expected 0.\n{tail(done.output)}"
    raise ProvisionError(message, fix=fix)


def tail(text: str, lines: int = EVIDENCE_LINES) -> str:
    """Return the last lines of `text`, indented, as evidence for a message."""
    kept = [line for line in text.strip().splitlines() if line.strip()][-lines:]
    return "\n".join(f"  {line}" for line in kept)


def remove_tree(runner: Runner, directory: Path) -> None:
    """Delete a directory as root, and unmount first what a program left mounted on or in it."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    # An engine mounts its data root on itself, and leaves it so.
    for mount in reversed([mount for mount in mounts if f"{mount}/".startswith(f"{directory}/")]):
        runner.run(["umount", mount], as_root=True, timeout_s=30.0)
    done = runner.run(["rm", "-rf", "--one-file-system", str(directory)], as_root=True)
    check(done, what=f"removing {directory}", fix=f"remove {directory} by hand")
