"""The processes of a machine: which belong to a trial, and how they are ended without ever hitting a stranger."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

MARKER = "SEATRIAL_TRIAL"
PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").exists()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process as it was when looked at. `start_time` as in the journal; zombies are never listed."""

    pid: int
    ppid: int
    pgid: int
    start_time: int
    marker: str
    """Value of SEATRIAL_TRIAL in its environment, empty when absent or unreadable."""
    reaps: str
    """The trial that this process is the reaper of, else empty."""
    journal: str
    """The journal that this process is the reaper of, else empty."""
    command: str


def boot_id() -> str:
    """Return what tells this boot of the machine from others: pids and start ticks mean nothing beyond it."""
    with contextlib.suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return ""


def start_time(pid: int) -> int | None:
    """Return when `pid` started, None when there is no such process or it is a zombie."""
    if HAS_PROC:
        running = _read_proc(pid, details=False)
        return running.start_time if running else None
    return next((each.start_time for each in _ask_ps() if each.pid == pid), None)


def list_running() -> dict[int, Running]:
    """Return every process of the machine that is not a zombie, by pid."""
    if not HAS_PROC:
        return {each.pid: each for each in _ask_ps()}
    found = (_read_proc(int(path.name)) for path in PROC.iterdir() if path.name.isdigit())
    return {each.pid: each for each in found if each is not None}


def _read_proc(pid: int, *, details: bool = True) -> Running | None:
    folder = PROC / str(pid)
    try:
        # proc(5): the name in parentheses may itself hold spaces and parentheses; state is the field after it.
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return None
    environ, arguments = b"", []
    if details:
        with contextlib.suppress(OSError):
            environ = (folder / "environ").read_bytes()
        with contextlib.suppress(OSError):
            arguments = os.fsdecode((folder / "cmdline").read_bytes()).rstrip("\0").split("\0")
    return Running(
        pid=pid,
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        start_time=int(fields[19]),
        marker=_find_marker(environ),
        reaps=_find_option(arguments, "--trial"),
        journal=_find_option(arguments, "--journal"),
        command=" ".join(arguments),
    )


def _find_marker(environ: bytes) -> str:
    prefix = f"{MARKER}=".encode()
    return next((os.fsdecode(each[len(prefix) :]) for each in environ.split(b"\0") if each.startswith(prefix)), "")


def _find_option(arguments: list[str], option: str) -> str:
    """Return the value of an option on a reaper's command line, empty for any other program."""
    if not any(each.endswith("reaper.py") for each in arguments[:6]) or option not in arguments[:-1]:
        return ""
    return arguments[arguments.index(option) + 1]


def _ask_ps() -> list[Running]:
    """List processes where there is no /proc: no environments there, so no markers."""
    command = ["ps", "-axww", "-o", "pid=,ppid=,pgid=,stat=,lstart=,command="]
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    output = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10, env=environ).stdout
    found = []
    for line in output.splitlines():
        pid, ppid, pgid, stat, *words = line.split()
        if stat.startswith("Z"):
            continue
        started = int(time.mktime(time.strptime(" ".join(words[:5]), "%a %b %d %H:%M:%S %Y")))
        found.append(
            Running(
                pid=int(pid),
                ppid=int(ppid),
                pgid=int(pgid),
                start_time=started,
                marker="",
                reaps=_find_option(words[5:], "--trial"),
                journal=_find_option(words[5:], "--journal"),
                command=" ".join(words[5:]),
            )
        )
    return found


def choose_doomed(running: dict[int, Running], trial_id: str, recorded: Iterable[tuple[int, int, int]]) -> set[int]:
    """Return the pids that belong to the trial: recorded ones, their groups, marked ones, and their descendants.

    `recorded` holds (pid, start_time, pgid). A group whose leader is gone is not trusted, because its number may
    have gone to strangers since: its members are found by the marker. Reapers are spared, with this process and
    its ancestors.
    """
    spared = {each.pid for each in running.values() if each.reaps} | _list_ancestors(running, os.getpid())
    doomed = {each.pid for each in running.values() if each.marker == trial_id}
    groups = set()
    for pid, started, pgid in recorded:
        if pid in running and running[pid].start_time == started:
            doomed.add(pid)
            if pgid == pid == running[pid].pgid:
                groups.add(pgid)
    doomed |= {each.pid for each in running.values() if each.pgid in groups}
    doomed -= spared
    while True:
        children = {each.pid for each in running.values() if each.ppid in doomed} - doomed - spared
        if not children:
            return doomed
        doomed |= children


def _list_ancestors(running: dict[int, Running], pid: int) -> set[int]:
    ancestors = {pid, 1}
    while pid in running and running[pid].ppid not in ancestors | {0}:
        pid = running[pid].ppid
        ancestors.add(pid)
    return ancestors


def send_signal(process: Running, number: signal.Signals) -> bool:
    """Send a signal to exactly this process. Returns False when it has ended or may not be signalled."""
    try:
        if not hasattr(os, "pidfd_open"):
            if start_time(process.pid) != process.start_time:
                return False
            os.kill(process.pid, number)
            return True
        # The descriptor pins the process, so that the pid cannot change hands between the look and the signal.
        descriptor = os.pidfd_open(process.pid)
        try:
            if start_time(process.pid) != process.start_time:
                return False
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def end_processes(doomed: list[Running], *, grace_s: float) -> dict[int, str]:
    """End the processes: SIGTERM, up to `grace_s` seconds, SIGKILL. Returns how each ended, by pid."""
    for process in doomed:
        send_signal(process, signal.SIGTERM)
    left = _await_end(doomed, grace_s)
    for process in left:
        send_signal(process, signal.SIGKILL)
    immortal = {each.pid for each in _await_end(left, 2.0)}
    killed = {each.pid for each in left}
    return {
        each.pid: "failed: still runs after SIGKILL"
        if each.pid in immortal
        else "killed"
        if each.pid in killed
        else "terminated"
        for each in doomed
    }


def _await_end(processes: list[Running], patience_s: float) -> list[Running]:
    deadline = time.monotonic() + patience_s
    while True:
        processes = [each for each in processes if start_time(each.pid) == each.start_time]
        if not processes or time.monotonic() > deadline:
            return processes
        time.sleep(0.02)
