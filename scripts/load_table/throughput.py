"""Closed loop against nginx, one process on one core, beside other load generators in its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from load_table.nginx import explain_lack, serve_nginx
from load_table.row import Options, Reading
from load_table.verdicts import are_enough, says_busy, tell, tell_left_out
from seatrial.load.host_lock import PATIENCE_S, HostLock
from seatrial.load.result import LoadResult

USERS = 32
BODY = '{"inputs":[{"name":"number","datatype":"INT64","shape":[1],"data":[123456789]}]}'
LOCUSTFILE = """
from locust import {kind}, constant, task

class Asking({kind}):
    wait_time = constant(0)

    @task
    def ask(self):
        self.client.post("/", data={body!r})
"""
MUST = {"wrk": 0.9, "locust FastHttpUser": 15.0}
_MARGIN_S = 60.0


class Run(NamedTuple):
    """What one client did, once."""

    rate: float
    """Requests a second."""
    was_busy: bool = False
    """By its own verdict it worked all the time, so that it is itself what was measured: as it should be here."""
    flaw: str = ""
    """Why it could not measure for another reason; others than ours do not say."""


Client = Callable[[str, float, int, Path], Run | None]


def measure_throughput(options: Options) -> Iterator[Reading]:
    """Every client in turn, again and again; the ratio of medians counts, of the rounds in which ours could measure."""
    lack = explain_lack()
    if lack:
        yield from read_lack(lack)
        return
    cpus = sorted(os.sched_getaffinity(0))
    duration_s = options.choose(8.0, 3.0)
    rounds: list[dict[str, Run]] = []
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory, serve_nginx(BODY, cpu=cpus[-1]) as url:
        for repeat in range(options.repeats):
            rounds.append({})
            for name, client in CLIENTS.items():
                with _keep_machine(name, options):
                    options.wait_quiet()
                    run = client(url, duration_s, cpus[0], Path(directory))
                if run is None:
                    options.tell(f"{name} is not installed: {INSTALL[name]}")
                    continue
                rounds[-1][name] = run
                flaw = f", which is no measurement: {run.flaw}" if run.flaw else ""
                options.tell(f"{name}: {run.rate:,.0f}/s ({repeat + 1} of {options.repeats}){flaw}")
    yield from compare(rounds)


def _keep_machine(client: str, options: Options) -> AbstractContextManager[None]:
    """Keep trials and other load runs out; the command does so itself, and would wait for this process for ever."""
    return nullcontext() if client == "seatrial" else HostLock().measure(options.tell)


def compare(rounds: Sequence[Mapping[str, Run]]) -> Iterator[Reading]:
    """Return a line for each client that there is a bound for."""
    kept = [each for each in rounds if not each["seatrial"].flaw]
    left_out = tell_left_out([flaw for each in rounds if (flaw := each["seatrial"].flaw)], len(rounds))
    if not are_enough(len(kept), len(rounds)):
        yield from (
            _read(name, f"not measured: {left_out}" if name in rounds[0] else f"not installed: {INSTALL[name]}")
            for name in MUST
        )
        return
    medians = {name: median(each[name].rate for each in kept) for name in kept[0]}
    ours, busy = medians["seatrial"], sum(each["seatrial"].was_busy for each in kept)
    told = f"in {busy} of {len(kept)} the client was busy all the time, which is what this row compares"
    told += f"; {left_out}" if left_out else ""
    beside = ", ".join(f"{name} {medians[name]:,.0f}/s" for name in medians if name not in {"seatrial", *MUST})
    for name, must in MUST.items():
        if name not in medians:
            yield _read(name, f"not installed: {INSTALL[name]}")
            continue
        theirs = medians[name]
        yield _read(
            name,
            f"{ours / theirs:.2f} times: {ours:,.0f}/s to {theirs:,.0f}/s (medians of {len(kept)}, in turn; {told}); "
            f"beside them {beside or 'nothing'}",
            met=ours >= must * theirs,
            figures={"ratio": ours / theirs, **medians},
        )


def read_lack(why: str) -> list[Reading]:
    """Return the lines of a machine on which nothing was measured."""
    return [_read(name, why) for name in MUST]


def _read(
    name: str, reached: str, *, met: bool | None = None, figures: Mapping[str, float | None] | None = None
) -> Reading:
    return Reading(
        bound=name.removeprefix("locust "),
        what=f"closed loop against nginx, {USERS} users, one core each, against {name}",
        must=f">= {MUST[name]:g} times its requests/s in the same run",
        reached=reached,
        met=met,
        figures=dict(figures or {}),
    )


def _run(argv: list[str], cpu: int, duration_s: float, given: str = "") -> str:
    done = subprocess.run(
        ["taskset", "-c", str(cpu), *argv],
        input=given,
        capture_output=True,
        text=True,
        timeout=duration_s + _MARGIN_S,
        check=False,
    )
    return done.stdout


def run_seatrial(url: str, duration_s: float, cpu: int, directory: Path) -> Run | None:
    """Through the command, as a user has it."""
    del directory
    options = ["--users", str(USERS), "--warm-up", "0", "--duration", str(duration_s)]
    argv = [sys.executable, "-m", "seatrial", "load", url, *options]
    # It may wait for the machine first.
    said = _run([*argv, "--body", BODY, "--json", "-", "-q"], cpu, duration_s + PATIENCE_S)
    return read_ours(msgspec.json.decode(said, type=LoadResult))


def read_ours(result: LoadResult) -> Run:
    """Return what was answered a second, which the result itself does not tell where the client was busy all the time."""
    if result.errors or not result.requests:
        sys.exit(f"requests failed: {result.outcomes}")
    return Run(
        rate=result.outcomes.get("answered", 0) / result.duration_s,
        was_busy=any(map(says_busy, result.reasons)),
        flaw="" if result.valid else tell(reason for reason in result.reasons if not says_busy(reason)),
    )


def run_wrk(url: str, duration_s: float, cpu: int, directory: Path) -> Run | None:
    """One thread."""
    if shutil.which("wrk") is None:
        return None
    script = directory / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\nwrk.headers['Content-Type'] = 'application/json'\n")
    said = _run(["wrk", "-t1", f"-c{USERS}", f"-d{duration_s:g}s", "-s", str(script), url], cpu, duration_s)
    if "Non-2xx" in said:
        sys.exit(f"requests of wrk failed: {said}")
    return Run(_find(r"Requests/sec:\s+([\d.]+)", said))


def run_bare_loop(url: str, duration_s: float, cpu: int, directory: Path) -> Run | None:
    """What uvloop itself allows, when nothing is read and nothing recorded."""
    del directory
    parts = urlsplit(url)
    request = f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
    argv = [sys.executable, str(Path(__file__).with_name("bare_loop.py")), str(parts.hostname), str(parts.port)]
    return Run(float(_run([*argv, str(USERS), str(duration_s)], cpu, duration_s, request)))


def run_hey(url: str, duration_s: float, cpu: int, directory: Path) -> Run | None:
    """One CPU."""
    del directory
    if shutil.which("hey") is None:
        return None
    argv = ["hey", "-cpus", "1", "-c", str(USERS), "-z", f"{duration_s:g}s", "-m", "POST", "-d", BODY, url]
    return Run(_find(r"Requests/sec:\s+([\d.]+)", _run(argv, cpu, duration_s)))


def run_locust(kind: str) -> Client:
    """One process, without its web page."""

    def run(url: str, duration_s: float, cpu: int, directory: Path) -> Run | None:
        try:
            import importlib.metadata

            importlib.metadata.version("locust")
        except importlib.metadata.PackageNotFoundError:
            return None
        file = directory / f"{kind}.py"
        file.write_text(LOCUSTFILE.format(kind=kind, body=BODY))
        argv = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "-u", str(USERS), "-r", str(USERS)]
        said = _run(
            [*argv, "-t", f"{duration_s:g}s", "--host", url.rstrip("/"), "--json", "--skip-log"], cpu, duration_s
        )
        (entry,) = json.loads(said)
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
INSTALL = {
    "wrk": "apt-get install wrk",
    "hey": "apt-get install hey",
    "locust FastHttpUser": "pip install 'seatrial[load]'",
    "locust HttpUser": "pip install 'seatrial[load]'",
}
