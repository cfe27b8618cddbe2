"""What every step of provisioning is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from seatrial.provision.command import ProvisionError, Runner, SystemRunner, can_be_root, check, root_command
from seatrial.provision.machine import Machine, inspect_machine
from seatrial.provision.record import Record

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A machine that is being changed: how to run things on it, where to write down what was done, whom to tell."""

    record: Record
    progress: Progress
    runner: Runner = field(default_factory=SystemRunner)
    machine: Machine = field(default_factory=inspect_machine)

    def run_as_root(self, *argv: str, what: str, fix: str = "", stdin: str | None = None) -> str:
        """Run a program as root and return its output. Raises ProvisionError when it fails."""
        by_hand = fix or f"run it by hand and see: {' '.join(root_command(argv))}"
        return check(self.runner.run(argv, as_root=True, stdin=stdin), what=what, fix=by_hand).output

    def require_root(self, what: str, commands: tuple[str, ...]) -> None:
        """Raise ProvisionError when commands cannot be run as root, with the commands to run by hand."""
        if not can_be_root(self.runner):
            message = f"{what} needs root: this user is not root, and `sudo -n true` failed"
            raise ProvisionError(message, fix="run these as root, then again: " + "; ".join(commands))

    def write_as_root(self, path: str, content: str, mode: str = "644") -> None:
        """Write a file that must not be there yet, recorded so that `undo` removes it again."""
        step = self.record.begin("file", path=path)
        command = ("install", "-D", "-m", mode, "/dev/stdin", path)
        self.run_as_root(*command, what=f"writing {path}", stdin=content)
        self.record.finish(step)
