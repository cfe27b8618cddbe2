"""dockerd on a machine without systemd: started by hand in a session of its own, found again, and stopped."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from seatrial.provision import network
from seatrial.provision.command import ProvisionError, remove_tree, tail
from seatrial.provision.context import Context
from seatrial.provision.engine_api import DEFAULT_URL, is_answering
from seatrial.provision.record import Step

DATA_ROOT = Path("/var/lib/docker")
# What else an engine writes when it first starts.
KEY_FILE = Path("/etc/docker/key.json")
CONTAINERD_DIRECTORY = Path("/opt/containerd")
ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.1
TELL_S = 5.0
FIX = "remove what the log complains about, take the attempt back with `seatrial provision --undo`, and try again"
# The shell writes down its process id, then becomes the engine.
SCRIPT = f'PATH={ROOT_PATH}; export PATH; echo $$ >"$1"; log=$2; shift 2; exec "$@" >"$log" 2>&1 </dev/null'


def format_start(options: tuple[str, ...]) -> str:
    """Return the command of `start_daemon`, to be shown."""
    return f"setsid --fork {' '.join(_dockerd(options))} >dockerd.log 2>&1"


def start_daemon(context: Context, options: tuple[str, ...], *, data_root_existed: bool) -> None:
    """Start dockerd at the default address and wait until it answers. Raises ProvisionError with its last log lines."""
    log, pid_file = context.record.state_dir / "dockerd.log", context.record.state_dir / "dockerd.pid"
    begun = [step for step in context.record.steps if step.kind == "engine" and not step.done]
    earlier = _read_pid(pid_file)
    if begun and earlier is not None and _is_that_daemon(earlier, None):
        context.progress("an interrupted run started dockerd already")
        step = begun[-1]
    else:
        step = _begin(context, pid_file, log, data_root_existed=data_root_existed)
        _launch(context, pid_file, log, options)
    pid = _wait_until_up(context, pid_file, log)
    context.record.finish(step, pid=pid, start_ticks=_read_start_ticks(pid))


def _begin(context: Context, pid_file: Path, log: Path, *, data_root_existed: bool) -> Step:
    return context.record.begin(
        "engine",
        pid_file=str(pid_file),
        log=str(log),
        data_root=str(DATA_ROOT),
        data_root_existed=data_root_existed,
        key_existed=KEY_FILE.exists(),
        containerd_existed=CONTAINERD_DIRECTORY.exists(),
        network=network.observe(context.runner),
    )


def _launch(context: Context, pid_file: Path, log: Path, options: tuple[str, ...]) -> None:
    context.progress(f"starting dockerd by hand, its log is {log}")
    pid_file.unlink(missing_ok=True)
    # A trial's mark in its environment would get the engine taken down with the trial; setsid --fork leaves it
    # without a parent here and out of reach of this terminal's signals.
    detach = ("env", "-u", "SEATRIAL_TRIAL", "setsid", "--fork", "sh", "-c", SCRIPT, "sh", str(pid_file), str(log))
    context.run_as_root(*detach, *_dockerd((*_choose_group(), *options)), what="starting dockerd")


def stop_daemon(context: Context, data: dict[str, Any]) -> None:
    """Take back `start_daemon`, of which `data` was recorded, with all that the engine itself made.

    Raises ProvisionError when the engine does not end.
    """
    pid = data.get("pid") or _read_pid(Path(data["pid_file"]))
    if pid is not None and _is_that_daemon(pid, data.get("start_ticks")):
        context.progress(f"stopping dockerd (process {pid})")
        context.run_as_root("kill", "-TERM", str(pid), what="stopping dockerd")
        _wait_until_gone(pid)
    network.restore(context.runner, data["network"], context.progress)
    if not data["data_root_existed"]:
        context.progress(f"removing {data['data_root']}")
        remove_tree(context.runner, Path(data["data_root"]))
    files = [data["pid_file"], data["log"], *([] if data["key_existed"] else [str(KEY_FILE)])]
    context.run_as_root("rm", "-f", *files, what="removing the files of dockerd")
    if not data["containerd_existed"]:
        # Somebody may have put plug-ins there since.
        empty = ("find", str(CONTAINERD_DIRECTORY), "-depth", "-type", "d", "-empty", "-delete")
        context.runner.run(empty, as_root=True, timeout_s=10.0)


def _dockerd(options: tuple[str, ...]) -> tuple[str, ...]:
    return ("dockerd", "--host", DEFAULT_URL, "--data-root", str(DATA_ROOT), *options)


def _choose_group() -> tuple[str, ...]:
    import grp  # not on every platform, and this is called on Linux only

    # Without it only root and the group docker, which this login is not in yet, could use the engine.
    return () if os.geteuid() == 0 else ("--group", grp.getgrgid(os.getgid()).gr_name)


def _wait_until_up(context: Context, pid_file: Path, log: Path) -> int:
    begun = said = time.monotonic()
    while not is_answering(DEFAULT_URL):
        now = time.monotonic()
        pid = _read_pid(pid_file)
        if (ended := pid is not None and not _is_running(pid)) or now - begun > START_TIMEOUT_S:
            what = "ended while it started" if ended else f"did not answer within {START_TIMEOUT_S:.0f} s"
            raise ProvisionError(f"dockerd {what}. The last lines of {log}:\n{_tail_file(log)}", fix=FIX)
        if now - said > TELL_S:
            said = now
            context.progress(f"waiting for dockerd ({now - begun:.0f} s)")
        time.sleep(POLL_S)
    pid = _read_pid(pid_file)
    if pid is None:
        raise ProvisionError(f"an engine answers, but {pid_file} does not say which process it is", fix=FIX)
    return pid


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_running(pid):
        if time.monotonic() > deadline:
            message = f"dockerd (process {pid}) did not end within {STOP_TIMEOUT_S:.0f} s of SIGTERM"
            raise ProvisionError(message, fix="end what runs in its containers, and try again")
        time.sleep(POLL_S)


def _is_that_daemon(pid: int, start_ticks: int | None) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    # Process ids are used again: the same program that began at the same tick is the same process.
    return name == "dockerd" and start_ticks in {None, _read_start_ticks(pid)} and _is_running(pid)


def _is_running(pid: int) -> bool:
    return (fields := _read_stat(pid)) is not None and fields[0] != "Z"


def _read_start_ticks(pid: int) -> int | None:
    return int(fields[19]) if (fields := _read_stat(pid)) else None


def _read_stat(pid: int) -> list[str] | None:
    """Return the fields of proc(5)'s `/proc/PID/stat` from the third, the state, on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _tail_file(path: Path) -> str:
    try:
        return tail(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as exc:
        return f"  ({exc})"
