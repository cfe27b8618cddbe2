"""The connections that a run begins with: side by side, within a bound, and whose doing it is where they cannot be had."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest

from seatrial.load.pacer.connection import Connection
from seatrial.load.pacer.opening import SIDE_BY_SIDE, OpeningError, describe_failure, open_side_by_side
from seatrial.load.plan import Destination, Plan
from seatrial.load.swarm.messages import Order, split_order

Serve = Callable[..., int]


def make_plan(users: int) -> Plan:
    return Plan(
        destination=Destination(host="127.0.0.1", port=80),
        requests=(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",),
        cases=(0,),
        mode="closed",
        users=users,
        duration_s=1.0,
    )


class Numbered:
    """A connection as far as its number goes."""

    def __init__(self, number: int) -> None:
        self.number = number


class Server:
    """Makes connections in a way of its own, and counts how many are made at a time."""

    def __init__(self, *, most: int = 1 << 30, party: int = 1) -> None:
        self.begun = self.under_way = self.most_under_way = 0
        self._most = most
        self._barrier = asyncio.Barrier(party)

    async def open(self) -> Connection:
        number, self.begun = self.begun, self.begun + 1
        if number >= self._most:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self._barrier.wait()
        self.under_way -= 1
        return cast("Connection", Numbered(number))


def open_all(count: int, timeout_s: float = 60.0, **how: int) -> tuple[Server, list[Connection]]:
    """Open connections to a server of a kind."""

    async def run() -> tuple[Server, list[Connection]]:
        server = Server(**how)
        return server, await open_side_by_side(server.open, count, timeout_s)

    return asyncio.run(run())


def test_connections_are_opened_side_by_side_some_at_a_time() -> None:
    server, made = open_all(5 * SIDE_BY_SIDE, party=SIDE_BY_SIDE)

    assert [each.number for each in made] == list(range(5 * SIDE_BY_SIDE))
    assert server.most_under_way == SIDE_BY_SIDE


def test_the_first_that_cannot_be_had_ends_it() -> None:
    with pytest.raises(OpeningError) as caught:
        open_all(1000, most=40)

    failed = describe_failure(make_plan(1000), caught.value)
    assert caught.value.made == 40
    assert failed.message.startswith("only 40 of the 1,000 connections to 127.0.0.1:80 could be made:")
    assert "refused" in failed.message
    assert not failed.exhausted


def test_one_that_never_comes_ends_at_the_bound() -> None:
    with pytest.raises(OpeningError, match=r"it took over 0\.05 s"):
        open_all(8, 0.05, party=9)


@pytest.mark.parametrize(
    ("number", "what"), [(errno.EMFILE, "descriptors"), (errno.ENFILE, "descriptors"), (errno.EADDRNOTAVAIL, "ports")]
)
def test_what_the_client_runs_out_of_is_not_the_servers_doing(number: int, what: str) -> None:
    failed = describe_failure(make_plan(10_000), OpeningError(7, OSError(number, os.strerror(number))))

    assert failed.exhausted == what
    assert failed.message.startswith(f"the client ran out of {what} after 7 of the 10,000 connections")
    assert "listens" not in failed.fix


def test_an_address_that_there_is_no_way_to_is_no_lack_of_ports() -> None:
    failed = describe_failure(make_plan(8), OpeningError(0, OSError(errno.EADDRNOTAVAIL, "no such address")))

    assert not failed.exhausted
    assert failed.message.startswith("no connection to ")


def test_the_bound_grows_with_the_connections_of_all() -> None:
    whole = make_plan(10_000)
    assert whole.opening_timeout_s >= make_plan(1).opening_timeout_s + 100
    shares = [each.plan for each in split_order(Order(plan=whole), 4)]
    assert [each.opening_timeout_s for each in shares] == [whole.opening_timeout_s] * 4


def run_limited(soft: int, hard: int, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may have only so many files open."""
    limit = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    return subprocess.run(["sh", "-c", limit, "sh", *argv], capture_output=True, text=True, timeout=90, check=False)


def test_too_few_descriptors_for_the_users_are_the_clients_doing(serve: Serve) -> None:
    url = f"http://127.0.0.1:{serve('echo')}/"
    done = run_limited(100, 100, sys.executable, "-m", "seatrial", "load", url, "--users", "300", "-q")

    assert (done.returncode, done.stdout) == (7, "")
    assert "the client ran out of descriptors after" in done.stderr
    assert "it may have 100 files open" in done.stderr
    assert "ulimit -n" in done.stderr


def test_each_user_has_a_descriptor(serve: Serve, tmp_path: Path) -> None:
    """More users than connections that an open loop may have, and a limit below both that may be raised."""
    program = (
        "import pathlib, sys\n"
        "import msgspec\n"
        "from seatrial.load.driver import Pacer\n"
        "from seatrial.load.plan import Plan\n"
        "plan = msgspec.json.decode(sys.argv[1], type=Plan)\n"
        "with Pacer(plan, None, pathlib.Path(sys.argv[2])) as pacer:\n"
        "    print(pacer.wait_ready().connections)\n"
    )
    plan = msgspec.structs.replace(
        make_plan(200), destination=Destination(host="127.0.0.1", port=serve("echo")), max_connections=4
    )
    given = msgspec.json.encode(plan).decode()
    done = run_limited(100, 400, sys.executable, "-c", program, given, str(tmp_path))

    assert done.stdout.strip() == "200", done.stderr
