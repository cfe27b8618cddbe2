"""The journal of a trial: JSON lines, only ever appended to, by the owner and by any number of its clients."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seatrial.errors import HarnessError, UsageError
from seatrial.owner.entries import Entry, read_entry
from seatrial.owner.reaping.processes import boot_id

TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class OwnerGoneError(HarnessError):
    """The trial's reaper no longer runs, so nothing may be created in the trial's name any more."""


def is_alive(journal: Path) -> bool:
    """Return whether a reaper holds the lock beside `journal`: its trial runs or is being taken down."""
    try:
        lock_fd = os.open(lock_path(journal), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock_fd)


def is_open(journal: Path) -> bool:
    """Return whether things may still be created: the trial's reaper runs and has not begun its work."""
    return is_alive(journal) and not closing_path(journal).exists()


def lock_path(journal: Path) -> Path:
    """Return the file that the reaper keeps locked as long as it lives."""
    return journal.with_name(journal.name + ".lock")


def closing_path(journal: Path) -> Path:
    """Return the file that the reaper makes before it first looks for what to take down."""
    return journal.with_name(journal.name + ".closing")


def reaped_path(journal: Path) -> Path:
    """Return the file in which the reaper says what it removed."""
    return journal.with_name(journal.name + ".reaped.json")


class Journal:
    """What a trial has created and not yet given back. Every write is one line, so that processes can share it."""

    def __init__(self, path: Path, *, flags: int = 0) -> None:
        self.path = path
        # O_APPEND keeps the lines of several processes apart. Reading is for the last byte only.
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o600)

    @classmethod
    def create(cls, path: Path, *, trial_id: str) -> Self:
        """Start the journal of a new trial. Raises UsageError when the id is unusable or was used before."""
        if not TRIAL_ID.fullmatch(trial_id):
            raise UsageError(
                f"{trial_id!r} cannot be the id of a trial: it becomes a label, a file name and a variable.",
                fix="use 1 to 63 letters, digits, '-', '_' or '.', the first a letter or digit.",
            )
        try:
            journal = cls(path, flags=os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            raise UsageError(f"The trial {trial_id!r} has a journal already: {path}.", fix="use a new id.") from None
        journal.write(
            {"op": "trial", "trial": trial_id, "schema": 1, "boot": boot_id(), "temp_dir": tempfile.gettempdir()}
        )
        return journal

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Open the journal of a running trial. Raises OwnerGoneError when there is none."""
        try:
            return cls(path)
        except FileNotFoundError:
            raise OwnerGoneError(f"The trial's journal {path} is gone.", fix="start the run again.") from None

    def record(self, entry: Entry) -> str:
        """Write down `entry`, which is about to be created, and return the id to release it by.

        Raises OwnerGoneError when nobody would take the thing down, HarnessError when the line cannot be written.
        """
        entry_id = secrets.token_hex(6)
        self.write({"op": "create", "id": entry_id, "entry": entry.to_json()})
        # Asked after the line is written: either the reaper reads the line, or this sees that it has begun.
        if not is_open(self.path):
            self.release(entry_id)
            raise OwnerGoneError(
                f"The reaper of the trial ({self.path.name}) has ended, so a new {entry.kind} would have no owner.",
                fix="start the run again; `seatrial clean` removes what is left of this one.",
            )
        return entry_id

    def release(self, entry_id: str) -> None:
        """Say that what `entry_id` stands for was given back (or never came to be)."""
        self.write({"op": "release", "id": entry_id})

    def open_entries(self) -> dict[str, Entry]:
        """Return the entries that are not released, by id, in the order of their recording."""
        entries: dict[str, Entry] = {}
        for line in self.path.read_bytes().splitlines():
            fields = _read_line(line)
            if fields.get("op") == "create":
                entries[fields["id"]] = read_entry(fields["entry"])
            elif fields.get("op") == "release":
                entries.pop(fields["id"], None)
        return entries

    def write(self, fields: dict[str, Any]) -> None:
        """Append one line. Raises HarnessError when it did not get there whole (a full disk)."""
        line = json.dumps(fields).encode() + b"\n"
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # A torn line of another writer must not take this one with it.
        try:
            written = os.write(self._fd, line)
        except OSError as exc:
            raise HarnessError(f"Cannot write to the journal {self.path}: {exc}.", fix="free space there.") from exc
        if written != len(line):
            raise HarnessError(f"The journal {self.path} took only a part of a line.", fix="free space there.")

    def close(self) -> None:
        """Close the file. The entries stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_line(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}  # Torn by a crash or a full disk: its writer was told, and created nothing.
    return fields if isinstance(fields, dict) else {}
