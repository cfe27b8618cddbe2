"""The reaper's life: lock, wait for the pipe to close, take everything down, say what was found."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from .sweeper import Sweeper

BOUND_S = 25.0
BOUND_WITH_KIND_S = 30.0
PAUSE_S = 0.1
PAUSE_AFTER_FAILURE_S = 0.5
# An engine may still be making a container whose client was killed; one answer takes it a second or two.
PAUSE_WHILE_COMING_S = 1.5
QUIET_PASSES = 2


def main(arguments: list[str]) -> int:
    """Run the reaper. Returns 0 when nothing is left, 1 when something is, 3 when the trial has a reaper already."""
    parser = argparse.ArgumentParser(prog="reaper.py")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--trial", required=True)
    parser.add_argument("--dry-run", action="store_true", help="only look")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lock = os.open(f"{options.journal}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"the trial {options.trial} has a reaper already\n")
        return 3
    owner = os.getppid()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _let_go_of_output()
    _await_end(owner)
    if not options.dry_run:
        Path(f"{options.journal}.closing").touch()  # From here on no client creates anything more.
    return _reap(options.journal, options.trial, dry_run=options.dry_run)


def _let_go_of_output() -> None:
    """Keep no pipe of the owner's open, or whoever reads its output would wait for the reaper as well."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _await_end(owner: int) -> None:
    """Return when the owner says `finish`, its pipe closes, or it is gone (a forked child may hold the pipe open)."""
    said = b""
    while os.getppid() == owner:
        if select.select([0], [], [], 1.0)[0]:
            chunk = os.read(0, 4096)
            said += chunk
            if not chunk or b"finish\n" in said:
                return


def _choose_pause(sweeper: Sweeper, *, is_quiet: bool) -> float:
    if is_quiet and sweeper.records.may_be_coming():
        return PAUSE_WHILE_COMING_S
    return PAUSE_AFTER_FAILURE_S if any(how.startswith("failed:") for how in sweeper.outcomes.values()) else PAUSE_S


def _reap(journal: Path, trial_id: str, *, dry_run: bool) -> int:
    sweeper = Sweeper(journal, trial_id, dry_run=dry_run)
    started = time.monotonic()
    quiet = 0
    while not dry_run:
        try:
            quiet = 0 if sweeper.make_pass() else quiet + 1
        except Exception as exc:  # noqa: BLE001 - whatever it is, the rest must still be tried and the finding told
            sweeper.outcomes["reaper", type(exc).__name__] = f"failed: {exc}"
            quiet += 1
        bound_s = BOUND_WITH_KIND_S if sweeper.records.list_open("kind-cluster") else BOUND_S
        if quiet >= QUIET_PASSES or time.monotonic() - started > bound_s:
            break
        time.sleep(_choose_pause(sweeper, is_quiet=quiet > 0))
    if dry_run:
        sweeper.make_pass()
    found = [{"kind": kind, "id": name, "how": how} for (kind, name), how in sweeper.outcomes.items()]
    draft = Path(f"{journal}.reaped.json.part")
    draft.write_text(json.dumps(found, indent=1) + "\n")
    draft.replace(f"{journal}.reaped.json")
    return int(any(each["how"].startswith(("failed:", "refused:", "unreachable:")) for each in found))
