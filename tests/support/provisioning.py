"""Machines to provision, and a runner of their commands that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.provision import Record
from seatrial.provision.command import Completed
from seatrial.provision.context import Context
from seatrial.provision.machine import Machine

BARE = Machine(
    system="Linux", distribution="debian", codename="bookworm", architecture="amd64", has_apt=True, has_systemd=False,
    missing_capabilities=("CAP_SYS_RESOURCE",),
)  # fmt: skip
UBUNTU = Machine(
    system="Linux", distribution="ubuntu", codename="noble", architecture="amd64", has_apt=True, has_systemd=True
)
MAC = Machine(system="Darwin", distribution="", codename="", architecture="arm64", has_apt=False, has_systemd=False)
NO_CANDIDATE = "x:\n  Installed: (none)\n  Candidate: (none)\n"


@dataclass
class ScriptedRunner:
    """Runs nothing: answers by the beginning of the command, and remembers what was asked."""

    answers: dict[str, Callable[[Sequence[str]], Completed] | str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, as_root: bool = False, stdin: str | None = None, timeout_s: float = 0.0
    ) -> Completed:
        line = " ".join(argv)
        self.seen.append(line)
        answer = next((answer for start, answer in self.answers.items() if line.startswith(start)), "")
        return Completed(argv=tuple(argv), returncode=0, output=answer) if isinstance(answer, str) else answer(argv)


def fail(output: str) -> Callable[[Sequence[str]], Completed]:
    return lambda argv: Completed(argv=tuple(argv), returncode=100, output=output)


def make_context(tmp_path: Path, runner: ScriptedRunner, machine: Machine = BARE) -> Context:
    return Context(record=Record(tmp_path / "state"), progress=lambda _: None, runner=runner, machine=machine)
