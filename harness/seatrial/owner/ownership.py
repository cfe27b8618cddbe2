"""What every part of a trial may ask of its owner, and the client that does it in any process of the trial."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, Self

from seatrial.environ import copy_environ
from seatrial.errors import HarnessError, SeatrialError
from seatrial.owner.entries import Directory, Entry, Process, Spawning
from seatrial.owner.journal import Journal
from seatrial.owner.reaping import files, processes

LABEL = "seatrial.trial"

Stream = int | IO[Any] | None


class SpawnError(SeatrialError):
    """A program that could not be started at all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something of a trial that nobody gave back, and what became of it.

    `how` is `found`, `removed`, `terminated`, `killed`, or a sentence that starts with `failed:`, `refused:` or
    `unreachable:`.
    """

    trial_id: str
    kind: str
    id: str
    how: str

    @property
    def is_gone(self) -> bool:
        """Whether it was taken down."""
        return self.how in {"removed", "terminated", "killed"}


class Ownership(Protocol):
    """Under whose name things are created. Nothing may be created without it."""

    @property
    def trial_id(self) -> str:
        """Id of the trial, usable in names of files, containers and Kubernetes objects."""

    def labels(self) -> dict[str, str]:
        """Return the labels that every container, network, image and namespace must carry."""

    def client_token(self) -> dict[str, str]:
        """Return what another process needs to act for the same owner: JSON-safe, no secret."""

    def environ(self) -> dict[str, str]:
        """Return the variables that every process must carry."""

    def spawn(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] | None = None,
        stdout: Stream = None,
        stderr: Stream = None,
        stdin: Stream = subprocess.DEVNULL,
        pass_fds: Collection[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, with `env` and the marker. Raises SpawnError."""

    def end(self, popen: subprocess.Popen[bytes], grace_s: float) -> int:
        """End a spawned program and its process group: SIGTERM, `grace_s` seconds, SIGKILL. Returns its exit code."""

    def directory(self, prefix: str, *, parent: Path | None = None) -> Path:
        """Create an empty directory of the trial's, by default below the temporary directory."""

    def remove_directory(self, path: Path) -> None:
        """Remove a directory that `directory` made, with all in it."""

    def adopt(self, entry: Entry) -> str:
        """Write down what is about to be created; returns the id to `release` it by."""

    def release(self, entry_id: str) -> None:
        """Say that it was given back, or never came to be."""


class OwnerClient:
    """The owner's hand in any process: it appends to the journal, and the one reaper sees to the rest."""

    def __init__(self, *, trial_id: str, journal: Journal, temp_dir: Path) -> None:
        self._trial_id = trial_id
        self.journal = journal
        self._temp_dir = temp_dir

    @classmethod
    def attach(cls, token: Mapping[str, str]) -> Self:
        """Return a client of the owner that made `token`. Raises OwnerGoneError when its journal is gone."""
        return cls(
            trial_id=token["trial_id"],
            journal=Journal.attach(Path(token["journal"])),
            temp_dir=Path(token["temp_dir"]),
        )

    def client_token(self) -> dict[str, str]:
        """Return what another process needs to `attach`: JSON-safe, no secret."""
        return {"trial_id": self._trial_id, "journal": str(self.journal.path), "temp_dir": str(self._temp_dir)}

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return self._trial_id

    def labels(self) -> dict[str, str]:
        """Return the labels for containers, networks, images and namespaces."""
        return {LABEL: self._trial_id}

    def environ(self) -> dict[str, str]:
        """Return the variables by which the reaper finds processes that left their group."""
        return {processes.MARKER: self._trial_id}

    def spawn(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] | None = None,
        stdout: Stream = None,
        stderr: Stream = None,
        stdin: Stream = subprocess.DEVNULL,
        pass_fds: Collection[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, with `env` and the marker. Raises SpawnError, OwnerGoneError."""
        coming = self.adopt(Spawning(marker=self._trial_id))
        try:
            popen = subprocess.Popen(
                argv,
                env={**copy_environ(env), **self.environ()},
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except OSError as exc:
            self.release(coming)
            raise SpawnError(
                f"Cannot start {os.fspath(argv[0])!r}: {exc}.", fix="see that it is installed and may be executed."
            ) from exc
        started = processes.start_time(popen.pid)
        if started is not None:
            self.adopt(Process(pid=popen.pid, start_time=started, pgid=popen.pid))
        self.release(coming)
        return popen

    def end(self, popen: subprocess.Popen[bytes], grace_s: float) -> int:
        """End a spawned program and its process group: SIGTERM, `grace_s` seconds, SIGKILL. Returns its exit code.

        Raises HarnessError when it still runs after SIGKILL.
        """
        members = self._list_group(popen)
        while members:
            processes.end_processes(members, grace_s=grace_s)
            members, grace_s = self._list_group(popen), 0.0
        try:
            code = popen.wait(timeout=5.0)
        except subprocess.TimeoutExpired as exc:
            raise HarnessError(f"Process {popen.pid} ({popen.args!r}) still runs after SIGKILL.") from exc
        self._release_all(lambda entry: isinstance(entry, Process) and entry.pid == popen.pid)
        return code

    def _list_group(self, popen: subprocess.Popen[bytes]) -> list[processes.Running]:
        # Until its parent has waited for the leader, no stranger can get the group's number; after that, who
        # carries the marker is ours.
        is_pinned = popen.returncode is None
        return [
            each
            for each in processes.list_running().values()
            if each.pgid == popen.pid and (is_pinned or each.marker == self._trial_id)
        ]

    def directory(self, prefix: str, *, parent: Path | None = None) -> Path:
        """Create an empty directory; one with a `parent` holds the marker file `.seatrial-owned`."""
        path = (parent or self._temp_dir).resolve() / f"{prefix}{secrets.token_hex(6)}"
        self.adopt(Directory(path=str(path)))
        path.mkdir(mode=0o700)
        if parent is not None:
            files.mark(path, self._trial_id)
        return path

    def remove_directory(self, path: Path) -> None:
        """Remove a directory that `directory` made. Raises HarnessError when it is another's or cannot be removed."""
        target = path.parent.resolve() / path.name
        entries = self.journal.open_entries().values()
        if not any(isinstance(each, Directory) and each.path == str(target) for each in entries):
            raise HarnessError(f"{path} is not in the journal of trial {self._trial_id}, so it is not removed.")
        with contextlib.suppress(FileNotFoundError):
            try:
                files.remove(target)
            except OSError as exc:
                if not isinstance(exc, FileNotFoundError):
                    raise HarnessError(f"Cannot remove {path}: {exc}.", fix="see who holds it.") from exc
        self._release_all(lambda entry: isinstance(entry, Directory) and entry.path == str(target))

    def _release_all(self, matches: Any) -> None:
        for entry_id, entry in self.journal.open_entries().items():
            if matches(entry):
                self.release(entry_id)

    def adopt(self, entry: Entry) -> str:
        """Write down what is about to be created; returns the id to `release` it by. Raises OwnerGoneError."""
        return self.journal.record(entry)

    def release(self, entry_id: str) -> None:
        """Say that it was given back, or never came to be."""
        self.journal.release(entry_id)
