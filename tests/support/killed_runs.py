"""Runs that own things and are killed, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from seatrial.owner.reaping import processes

# The run that is killed: it owns a tree of processes and a directory, says what it made, and waits.
RUN = """
import json, os, sys, time
from pathlib import Path
from seatrial.owner import Owner
owner = Owner.start(sys.argv[1], Path(sys.argv[2]))
made = {"run": os.getpid(), "reaper": owner.reaper_pid, "token": owner.client_token()}
folder = owner.directory("seatrial-test-")
(folder / "deep").mkdir()
(folder / "deep" / "file").write_text("x")
(folder / "deep").chmod(0o555)
made["directory"] = str(folder)
pids = folder / "pids"
def note(command): return f"{command} & echo $! >> {pids}; "
script = (
    note("sleep 1000")
    + note("sh -c 'trap \\"\\" TERM; while :; do sleep 1000; done'")
    + note("env -i setsid sleep 1000")
    + f"setsid sh -c 'sh -c \\"sleep 1000 & echo \\\\$! >> {pids}\\" &' ; "
    + "wait"
)
tree = owner.spawn(["sh", "-c", script], env={"PATH": os.environ["PATH"]})
while not pids.exists() or len(pids.read_text().split()) < 4:
    time.sleep(0.02)
made["processes"] = [tree.pid, *map(int, pids.read_text().split())]
if "--fork" in sys.argv and os.fork() == 0:
    time.sleep(1000)
print(json.dumps(made), flush=True)
time.sleep(1000)
"""


def runs(pid: int) -> bool:
    return processes.start_time(pid) is not None


class Run:
    """A run in a process group of its own, and what it said it made."""

    def __init__(self, trial_id: str, state_dir: Path, *options: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", RUN, trial_id, str(state_dir), *options],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        self.made = json.loads(self.popen.stdout.readline())

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def is_gone(self) -> bool:
        return not Path(self.made["directory"]).exists() and not any(runs(pid) for pid in self.made["processes"])

    def is_whole(self) -> bool:
        return Path(self.made["directory"]).exists() and all(runs(pid) for pid in self.made["processes"])

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()
