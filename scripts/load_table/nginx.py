"""nginx as a server that costs little: one process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from seatrial_fixtures.processes import choose_port

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 16384; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
"""

PACKAGES = {"nginx": "nginx-light", "taskset": "util-linux"}


def explain_lack() -> str:
    """Return why nginx and a client cannot have a CPU each on this machine; empty when they can."""
    lacking = [package for name, package in PACKAGES.items() if find_program(name) is None]
    if lacking:
        return f"not installed: apt-get install {' '.join(lacking)}"
    return "" if len(os.sched_getaffinity(0)) > 1 else "not measured: there is one CPU"


@contextlib.contextmanager
def serve_nginx(answer: str, *, cpu: int | None = None, within: Sequence[str] = ()) -> Iterator[str]:
    """Serve one answer to everything, while the block runs; yields the URL.

    Args:
        answer: a body.
        cpu: the only one that it may use.
        within: the command that runs another one in the network where it is to listen.
    """
    port = choose_port()
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory:
        file = Path(directory) / "nginx.conf"
        file.write_text(CONFIGURATION.format(directory=directory, port=port, body=answer))
        argv = [*within, *pinned, str(find_program("nginx")), "-p", directory, "-c", str(file)]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as popen:
            try:
                _wait_listening(Path(directory) / "pid", popen)
                yield f"http://127.0.0.1:{port}/"
            finally:
                popen.kill()


def find_program(name: str) -> str | None:
    """Return its path; Debian has nginx where only root looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _wait_listening(pid_file: Path, popen: subprocess.Popen[bytes]) -> None:
    """Return when nginx wrote its file, which it does once it listens: nobody else may be able to connect to where it is."""
    deadline_s = time.monotonic() + 10
    while popen.poll() is None and time.monotonic() < deadline_s:
        if pid_file.exists():
            return
        time.sleep(0.05)
    sys.exit("nginx did not come up")
