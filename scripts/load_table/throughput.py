"""Closed loop against nginx, one process on one core, beside other load generators in its place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median

from load_table.clients import BODY, CLIENTS, INSTALL, Loop, Run
from load_table.network import make_network
from load_table.nginx import explain_lack, serve_nginx
from load_table.row import Options, Reading
from load_table.verdicts import are_enough, tell_left_out
from seatrial.load.host_lock import HostLock

CROWDS = (32, 512)
"""Users: of the levels that TechEmpower's rounds ask with, one low one and the highest."""
BOUNDS = (("wrk", 32, 0.9), ("wrk", 512, 0.9), ("locust FastHttpUser", 512, 15.0))
"""Client, users, and how many times its requests a second ours must reach.

FastHttpUser is compared at the crowd for which a load generator is needed. With few users what every client comes to is the
kernel's part of a request, wrk's too, and the ratio says how long FastHttpUser takes for its own: a remark tells it.
"""
REMARKS = (("locust FastHttpUser", 32),)

Rounds = Sequence[Mapping[str, Run]]


def measure_throughput(options: Options) -> Iterator[Reading]:
    """Every client in turn, again and again; the ratio of medians counts, of the rounds in which ours could measure."""
    lack = explain_lack()
    if lack:
        yield from read_lack(lack)
        return
    cpus = sorted(os.sched_getaffinity(0))
    rounds: dict[int, list[dict[str, Run]]] = {users: [] for users in CROWDS}
    with (
        tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory,
        make_network() as network,
        serve_nginx(BODY, cpu=cpus[-1], within=network.within) as url,
    ):
        options.tell(f"on {network.told}")
        for _ in range(options.repeats):
            for users, each in rounds.items():
                loop = Loop(url, users, options.choose(8.0, 3.0), cpus[0], Path(directory), network.within)
                each.append(_run_round(loop, options, f"{len(each) + 1} of {options.repeats}"))
    yield from compare(rounds, f"on {network.told}")


def _run_round(loop: Loop, options: Options, told: str) -> dict[str, Run]:
    """Run all clients that there are, one after the other."""
    runs = {}
    for name, client in CLIENTS.items():
        with _keep_machine(name, options):
            options.wait_quiet()
            run = client(loop)
        if run is None:
            options.tell(f"{name} is not installed: {INSTALL[name]}")
            continue
        runs[name] = run
        flaw = f", which is no measurement: {run.flaw}" if run.flaw else ""
        options.tell(f"{name}, {loop.users} users: {run.rate:,.0f}/s ({told}){flaw}")
    return runs


def _keep_machine(client: str, options: Options) -> AbstractContextManager[None]:
    """Keep trials and other load runs out; the command does so itself, and would wait for this process for ever."""
    return nullcontext() if client == "seatrial" else HostLock().measure(options.tell)


def compare(rounds: Mapping[int, Rounds], where: str) -> Iterator[Reading]:
    """Return a line for each bound, and for each remark; `rounds` by users."""
    for name, users, must in BOUNDS:
        yield _compare(rounds[users], name, users, must, where)
    for name, users in REMARKS:
        yield _compare(rounds[users], name, users, None, where)


def _compare(rounds: Rounds, name: str, users: int, must: float | None, where: str) -> Reading:
    kept = [each for each in rounds if not each["seatrial"].flaw]
    left_out = tell_left_out([flaw for each in rounds if (flaw := each["seatrial"].flaw)], len(rounds))
    if name not in rounds[0]:
        return _read(name, users, must, f"not installed: {INSTALL[name]}")
    if not are_enough(len(kept), len(rounds)):
        return _read(name, users, must, f"not measured: {left_out}")
    medians = {each: median(one[each].rate for one in kept) for each in kept[0]}
    ours, theirs = medians["seatrial"], medians[name]
    busy = sum(each["seatrial"].was_busy for each in kept)
    told = f"in {busy} of {len(kept)} the client was busy all the time, which is what this row compares"
    told += f"; {left_out}" if left_out else ""
    beside = ", ".join(f"{each} {rate:,.0f}/s" for each, rate in medians.items() if each not in {"seatrial", name})
    return _read(
        name,
        users,
        must,
        f"{ours / theirs:.2f} times: {ours:,.0f}/s to {theirs:,.0f}/s (medians of {len(kept)}, in turn, {where}; {told}); "
        f"beside them {beside or 'nothing'}",
        met=None if must is None else ours >= must * theirs,
        figures={"ratio": ours / theirs, **medians},
    )


def read_lack(why: str) -> list[Reading]:
    """Return the lines of a machine on which nothing was measured."""
    return [_read(name, users, must, why) for name, users, must in BOUNDS]


def _read(
    name: str,
    users: int,
    must: float | None,
    reached: str,
    *,
    met: bool | None = None,
    figures: Mapping[str, float | None] | None = None,
) -> Reading:
    return Reading(
        bound=f"{name.removeprefix('locust ')}-{users}",
        what=f"closed loop against nginx, {users} users, one core each, against {name}",
        must="nothing" if must is None else f">= {must:g} times its requests/s in the same run",
        reached=reached,
        met=met,
        figures=dict(figures or {}),
        is_remark=must is None,
    )
