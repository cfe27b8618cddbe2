"""A trial's directory: what is in it, and how records get there."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from seatrial.errors import SeatrialError
from seatrial.history import History
from seatrial.records import (
    CapacityRecord,
    CheckRecord,
    DeploymentRecord,
    ErrorRecord,
    FloorRecord,
    LoadRecord,
    NotRunRecord,
    PhaseRecord,
    PlanRecord,
    Record,
)

KINDS: dict[str, type[Record]] = {
    "check": CheckRecord,
    "phase": PhaseRecord,
    "not-run": NotRunRecord,
    "plan": PlanRecord,
    "error": ErrorRecord,
    "deployment": DeploymentRecord,
    "load": LoadRecord,
    "capacity": CapacityRecord,
    "floor": FloorRecord,
}
_KIND_OF = {kind: name for name, kind in KINDS.items()}


class _Line(msgspec.Struct, kw_only=True):
    kind: str
    data: msgspec.Raw


def new_run_id() -> str:
    """Return an id that sorts by time and is unique on this machine: 20261122-101530-3fa9c1."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def encode_record(record: Record) -> str:
    """Return a record as one line of JSON."""
    return msgspec.json.encode({"kind": _KIND_OF[type(record)], "data": record}).decode()


def decode_record(line: str | bytes) -> Record:
    """Read one line. Raises msgspec.DecodeError or KeyError when it is none."""
    row = msgspec.json.decode(line, type=_Line)
    record: Record = msgspec.json.decode(row.data, type=KINDS[row.kind])
    return record


@dataclass(frozen=True)
class TrialDirectory:
    """`run.json`, `records.jsonl`, `answers/`, `logs/`, `samples/`, `histories/`, `models/` and the reports, below one directory.

    A record is on disk when `append` returns, so a killed run keeps what it had.
    """

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _problems: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def create(cls, out: Path, run_id: str) -> TrialDirectory:
        """Make the directory.

        Raises:
            SeatrialError: it cannot be written.
        """
        path = out.expanduser().resolve() / run_id
        try:
            (path / "logs").mkdir(parents=True)
            (path / "records.jsonl").touch()
        except OSError as error:
            raise SeatrialError(
                f"the trial's directory {path} cannot be made: {error}", fix="choose another place with --out"
            ) from error
        return cls(path)

    @property
    def records_path(self) -> Path:
        """Where records are appended."""
        return self.path / "records.jsonl"

    @property
    def log_dir(self) -> Path:
        """Where deployments' logs go."""
        return self.path / "logs"

    def append(self, line: str) -> None:
        """Append one line of JSON and flush it.

        Does not raise, for records come while deployments are taken down, which must go on: `problem` tells.
        """
        try:
            with self._lock, self.records_path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            self._problems.append(f"{self.records_path} cannot be written: {error}")

    @property
    def problem(self) -> str:
        """Why records are missing; empty when all were written."""
        return self._problems[0] if self._problems else ""

    def read_records(self) -> Iterator[Record]:
        """Yield the records; a last line that was cut off by a kill is left out."""
        for line in self.records_path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield decode_record(line)

    def keep_history(self, target: str, check_id: str, history: History) -> str:
        """Write what was asked of a target for a check; return the file's path below this directory."""
        (self.path / "histories").mkdir(exist_ok=True)
        name = f"histories/{target}-{check_id}.jsonl"
        (self.path / name).write_bytes(history.encode())
        return name

    def write(self, name: str, data: bytes) -> Path:
        """Write a file by way of a neighbour, so that it is whole or not there."""
        temporary = self.path / f".{name}.part"
        temporary.write_bytes(data)
        return temporary.replace(self.path / name)


def to_facts(value: Any) -> Any:
    """Return a value as plain JSON types, for `CheckRecord.facts`."""
    return msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
