"""What provisioning did to this machine, written down before each step so that it can be taken back."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seatrial.provision.command import ProvisionError

SCHEMA = 1
FILE_NAME = "provision.json"
LOCK_WAIT_S = 900.0


@dataclass(slots=True, kw_only=True)
class Step:
    """One change to the machine: `kind` says how to take it back, `data` what exactly. `done` is false while it runs."""

    number: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    at: str = ""


class Record:
    """The steps done on this machine and not yet taken back, kept in `STATE_DIR/provision.json`."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.path = state_dir / FILE_NAME
        self.steps: list[Step] = []
        self.reload()

    def reload(self) -> None:
        """Read the file again: another process may have written it."""
        if not self.path.exists():
            self.steps = []
            return
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            self.steps = [Step(**step) for step in content["steps"]]
        except (ValueError, KeyError, TypeError) as exc:
            fix = f"look at {self.path}; remove it to give up taking back what it records"
            raise ProvisionError(f"{self.path} is not a record of provisioning: {exc}", fix=fix) from exc

    def begin(self, kind: str, **data: Any) -> Step:
        """Write down a step that is about to be done."""
        number = max((step.number for step in self.steps), default=0) + 1
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        step = Step(number=number, kind=kind, data=data, at=at)
        self.steps.append(step)
        self._write()
        return step

    def finish(self, step: Step, **data: Any) -> None:
        """Write down that a step is done, and what only its end could tell."""
        step.data.update(data)
        step.done = True
        self._write()

    def move_to_end(self, step: Step) -> None:
        """Have a step taken back before those that are recorded already."""
        self.steps.remove(step)
        self.steps.append(step)
        self._write()

    def drop(self, step: Step) -> None:
        """Forget a step: it was taken back, or turned out to change nothing."""
        self.steps.remove(step)
        self._write()

    @contextlib.contextmanager
    def locked(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold off every other process that provisions with this state directory, and read what it left."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.state_dir / "provision.lock")
        try:
            lock.acquire(timeout=wait_s)
        except Timeout as exc:
            message = f"another process has been provisioning for more than {wait_s:.0f} s (it holds {lock.lock_file})"
            raise ProvisionError(message, fix="wait for it, or end it") from exc
        try:
            self.reload()
            yield
        finally:
            lock.release()

    def _write(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        content = {"schema": SCHEMA, "steps": [asdict(step) for step in self.steps]}
        new = self.path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
