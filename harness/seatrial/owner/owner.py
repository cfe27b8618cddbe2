"""The owner of a trial: the one process that holds the reaper's pipe."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from seatrial.errors import UsageError
from seatrial.owner import reaper_process
from seatrial.owner.journal import TRIAL_ID, Journal
from seatrial.owner.ownership import Leftover, OwnerClient


def find_journal(state_dir: Path, trial_id: str) -> Path:
    """Return the path of a trial's journal. Raises UsageError for an id that cannot be one."""
    if not TRIAL_ID.fullmatch(trial_id):
        raise UsageError(
            f"{trial_id!r} cannot be the id of a trial: it becomes a label, a file name and a variable.",
            fix="use 1 to 63 letters, digits, '-', '_' or '.', the first a letter or digit.",
        )
    return state_dir / f"{trial_id}.journal"


class Owner(OwnerClient):
    """Owns what a trial creates; a context manager. When this process dies, however it dies, the reaper cleans up."""

    def __init__(self, *, trial_id: str, journal: Journal, temp_dir: Path, reaper: subprocess.Popen[bytes]) -> None:
        super().__init__(trial_id=trial_id, journal=journal, temp_dir=temp_dir)
        self._reaper = reaper
        self._pid = os.getpid()
        self._leftovers: list[Leftover] | None = None

    @classmethod
    def start(cls, trial_id: str, state_dir: Path) -> Self:
        """Start the journal and the reaper of a new trial.

        Raises UsageError when the id is unusable or was used before, HarnessError when no reaper comes up.
        """
        path = find_journal(state_dir.resolve(), trial_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            raise UsageError(f"The trial {trial_id!r} has a journal already: {path}.", fix="use a new id.")
        # The lock comes before the journal: a journal without a lock belongs to a dead trial.
        reaper = reaper_process.start_reaper(path, trial_id)
        try:
            journal = Journal.create(path, trial_id=trial_id)
        except BaseException:
            reaper.kill()
            reaper.communicate()
            raise
        return cls(trial_id=trial_id, journal=journal, temp_dir=Path(tempfile.gettempdir()).resolve(), reaper=reaper)

    @property
    def reaper_pid(self) -> int:
        """Pid of the reaper, which is in a session of its own."""
        return self._reaper.pid

    def close(self) -> list[Leftover]:
        """Let the reaper finish and return what it had to remove: nothing, when everybody gave back what was theirs.

        The trial's journal goes too, unless something is still there; then `seatrial clean` finds it by the journal.
        In a forked child this does nothing. Raises HarnessError when the reaper cannot do its work.
        """
        if self._leftovers is None and os.getpid() == self._pid:
            self._leftovers = self._finish()
            path = self.journal.path
            self.journal.close()
            if all(each.is_gone for each in self._leftovers):
                reaper_process.forget(path)
        return self._leftovers or []

    def _finish(self) -> list[Leftover]:
        with contextlib.suppress(OSError):  # The reaper may have been killed; then its work is done over.
            try:
                self._reaper.communicate(b"finish\n", timeout=reaper_process.REAPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                still = f"failed: still works after {reaper_process.REAPED_WITHIN_S:g} s"
                return [Leftover(trial_id=self.trial_id, kind="reaper", id=str(self._reaper.pid), how=still)]
        if self._reaper.returncode in {0, 1}:
            with contextlib.suppress(FileNotFoundError):  # A sweep on its way may have tidied up behind the reaper.
                return reaper_process.read_reaped(self.journal.path, self.trial_id)
        return reaper_process.reap_now(self.journal.path, self.trial_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
