"""Load generators as closed loops against one server, each in one process on one CPU."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from load_table.verdicts import says_busy, tell
from seatrial.load.address import compose_request, resolve
from seatrial.load.host_lock import PATIENCE_S
from seatrial.load.result import LoadResult

BODY = '{"inputs":[{"name":"number","datatype":"INT64","shape":[1],"data":[123456789]}]}'
LOCUSTFILE = """
from locust import {kind}, constant, task

class Asking({kind}):
    wait_time = constant(0)

    @task
    def ask(self):
        self.client.post("/", data={body!r})
"""
INSTALL = {
    "wrk": "apt-get install wrk",
    "hey": "apt-get install hey",
    "locust FastHttpUser": "pip install 'seatrial[load]'",
    "locust HttpUser": "pip install 'seatrial[load]'",
}
_MARGIN_S = 60.0


class Loop(NamedTuple):
    """A closed loop that a client is to run."""

    url: str
    users: int
    duration_s: float
    cpu: int
    directory: Path
    """For files of the client's."""
    within: Sequence[str] = ()
    """The command that runs another one in the server's network."""


class Run(NamedTuple):
    """What one client did, once."""

    rate: float
    """Requests a second."""
    was_busy: bool = False
    """By its own verdict it worked all the time, so that it is itself what was measured: as it should be here."""
    flaw: str = ""
    """Why it could not measure for another reason; others than ours do not say."""


Client = Callable[[Loop], Run | None]
"""Returns None when it is not installed."""


def _run(argv: list[str], loop: Loop, given: str = "", patience_s: float = 0.0) -> str:
    done = subprocess.run(
        [*loop.within, "taskset", "-c", str(loop.cpu), *argv],
        input=given,
        capture_output=True,
        text=True,
        timeout=loop.duration_s + _MARGIN_S + patience_s,
        check=False,
    )
    return done.stdout


def compose(url: str) -> str:
    """Return the request that the command sends: what a server does for one depends on its head, so wrk sends the same."""
    return compose_request(resolve(url), method="", headers=(), body=BODY.encode()).decode()


def run_seatrial(loop: Loop) -> Run | None:
    """Through the command, as a user has it."""
    options = ["--users", str(loop.users), "--warm-up", "0", "--duration", str(loop.duration_s)]
    argv = [sys.executable, "-m", "seatrial", "load", loop.url, *options, "--body", BODY, "--json", "-", "-q"]
    # It may wait for the machine first.
    return read_ours(msgspec.json.decode(_run(argv, loop, patience_s=PATIENCE_S), type=LoadResult))


def read_ours(result: LoadResult) -> Run:
    """Return what was answered a second, which the result itself does not tell where the client was busy all the time."""
    if result.errors or not result.requests:
        sys.exit(f"requests failed: {result.outcomes}")
    return Run(
        rate=result.outcomes.get("answered", 0) / result.duration_s,
        was_busy=any(map(says_busy, result.reasons)),
        flaw="" if result.valid else tell(reason for reason in result.reasons if not says_busy(reason)),
    )


def run_wrk(loop: Loop) -> Run | None:
    """One thread."""
    if shutil.which("wrk") is None:
        return None
    script = loop.directory / "post.lua"
    # Host and Content-Length are its own.
    headers = [line.split(": ") for line in compose(loop.url).partition("\r\n\r\n")[0].splitlines()[2:-1]]
    lines = (f"wrk.headers['{name}'] = '{value}'\n" for name, value in headers)
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\n{''.join(lines)}")
    said = _run(["wrk", "-t1", f"-c{loop.users}", f"-d{loop.duration_s:g}s", "-s", str(script), loop.url], loop)
    if "Non-2xx" in said:
        sys.exit(f"requests of wrk failed: {said}")
    return Run(_find(r"Requests/sec:\s+([\d.]+)", said))


def run_bare_loop(loop: Loop) -> Run | None:
    """What uvloop itself allows, when nothing is read and nothing recorded."""
    parts = urlsplit(loop.url)
    argv = [sys.executable, str(Path(__file__).with_name("bare_loop.py")), str(parts.hostname), str(parts.port)]
    return Run(float(_run([*argv, str(loop.users), str(loop.duration_s)], loop, compose(loop.url))))


def run_hey(loop: Loop) -> Run | None:
    """One CPU."""
    if shutil.which("hey") is None:
        return None
    load = ["-c", str(loop.users), "-z", f"{loop.duration_s:g}s", "-m", "POST", "-d", BODY]
    return Run(_find(r"Requests/sec:\s+([\d.]+)", _run(["hey", "-cpus", "1", *load, loop.url], loop)))


def run_locust(kind: str) -> Client:
    """One process, without its web page, and without the time in which its users begin."""

    def run(loop: Loop) -> Run | None:
        try:
            importlib.metadata.version("locust")
        except importlib.metadata.PackageNotFoundError:
            return None
        file = loop.directory / f"{kind}.py"
        file.write_text(LOCUSTFILE.format(kind=kind, body=BODY))
        argv = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--host", loop.url.rstrip("/")]
        crowd = ["-u", str(loop.users), "-r", str(loop.users), "-t", f"{loop.duration_s:g}s", "--reset-stats"]
        (entry,) = json.loads(_run([*argv, *crowd, "--json", "--skip-log"], loop))
        if entry["num_failures"]:
            sys.exit(f"{entry['num_failures']} requests of {kind} failed")
        return Run(float(entry["num_requests"] / (entry["last_request_timestamp"] - entry["start_time"])))

    return run


def _find(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        sys.exit(f"no rate in {said!r}")
    return float(found[1])


CLIENTS: dict[str, Client] = {
    "seatrial": run_seatrial,
    "wrk": run_wrk,
    "uvloop that records nothing": run_bare_loop,
    "locust FastHttpUser": run_locust("FastHttpUser"),
    "locust HttpUser": run_locust("HttpUser"),
    "hey": run_hey,
}
