"""How the reaper is started, asked to do its work at once, and read."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from pathlib import Path

from seatrial.environ import copy_environ
from seatrial.errors import HarnessError
from seatrial.owner.journal import closing_path, lock_path, reaped_path
from seatrial.owner.ownership import Leftover
from seatrial.owner.reaping.processes import MARKER

READY_WITHIN_S = 15.0
REAPED_WITHIN_S = 45.0
BUSY = 3
"""Exit code of a reaper that found another one at the same journal."""


def _compose_command(journal: Path, trial_id: str) -> list[str]:
    script = Path(__file__).with_name("reaper.py")
    # -I and -S: nothing of the environment, not even its .pth files, can keep the reaper from starting.
    return [sys.executable, "-I", "-S", str(script), "--journal", str(journal), "--trial", trial_id]


def _reaper_environ() -> dict[str, str]:
    """The reaper of a trial inside a trial must not fall with the outer one: it has its own work to do then."""
    return {name: value for name, value in copy_environ().items() if name != MARKER}


def start_reaper(journal: Path, trial_id: str) -> subprocess.Popen[bytes]:
    """Start the reaper in a session of its own and return it once it holds its lock.

    It works when its standard input ends. Raises HarnessError when it does not come up.
    """
    reaper = subprocess.Popen(
        _compose_command(journal, trial_id),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=_reaper_environ(),
        start_new_session=True,
    )
    assert reaper.stdout is not None
    assert reaper.stderr is not None
    with reaper.stdout, reaper.stderr:
        came = bool(select.select([reaper.stdout], [], [], READY_WITHIN_S)[0])
        if came and reaper.stdout.readline() == b"ready\n":
            reaper.stdout = reaper.stderr = None
            return reaper
        reaper.kill()
        evidence = reaper.stderr.read().decode(errors="replace").strip()
    reaper.communicate()
    raise HarnessError(
        f"The reaper, which would clean up after a crash, did not start: {evidence or 'it said nothing'}.",
        fix=f"see that {sys.executable} runs and that {journal.parent} can be written.",
    )


def reap_now(journal: Path, trial_id: str, *, dry_run: bool = False) -> list[Leftover]:
    """Take down what the journal of a dead trial holds and wait for it; with `dry_run` only look."""
    command = [*_compose_command(journal, trial_id), *(["--dry-run"] if dry_run else [])]
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        env=_reaper_environ(),
        timeout=REAPED_WITHIN_S,
        check=False,
        start_new_session=True,
    )
    if result.returncode == BUSY:
        how = "refused: another reaper is at work on this trial"
        return [Leftover(trial_id=trial_id, kind="reaper", id=str(journal), how=how)]
    if result.returncode not in {0, 1}:
        raise HarnessError(f"The reaper of trial {trial_id} failed: {result.stderr.decode(errors='replace').strip()}")
    return read_reaped(journal, trial_id)


def read_reaped(journal: Path, trial_id: str) -> list[Leftover]:
    """Return what the reaper wrote that it found. Raises FileNotFoundError when it did not get that far."""
    found = json.loads(reaped_path(journal).read_text())
    return [Leftover(trial_id=trial_id, kind=each["kind"], id=each["id"], how=each["how"]) for each in found]


def forget(journal: Path) -> None:
    """Remove the files of a trial of which nothing is left."""
    for path in (reaped_path(journal), journal, closing_path(journal), lock_path(journal)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
