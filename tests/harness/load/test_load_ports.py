"""A client that runs out of ports, on a host that has few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts import Hosts, NoHostsError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")
PORTS = 20


Load = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Runs `seatrial load` against a server, both on a host from which 20 connections at a time can be made."""
    try:
        with Hosts.make() as hosts:
            host = hosts.add(ahead_s=0)
            argv = [sys.executable, str(Path(__file__).with_name("answering.py")), "echo"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            server = hosts.start(host, argv, tmp_path / "server", **pipes)
            port = int(server.stdout.readline())
            allowed = f"echo 1024 {1023 + PORTS} > /proc/sys/net/ipv4/ip_local_port_range"
            subprocess.run(host.enter("sh", "-c", allowed), check=True, timeout=30)

            def run(*options: str) -> subprocess.CompletedProcess[str]:
                command = [sys.executable, "-m", "seatrial", "load", f"http://127.0.0.1:{port}/", *options]
                environ = {**os.environ, "TMPDIR": str(tmp_path)}
                return subprocess.run(
                    host.enter(*command), env=environ, capture_output=True, text=True, timeout=90, check=False
                )

            yield run
    except NoHostsError as error:
        message = f"namespaces cannot be made here, so there are no hosts: {error}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


def test_too_few_ports_for_the_users_are_the_clients_doing(load: Load) -> None:
    done = load("--users", "50", "--duration", "1", "-q")

    assert (done.returncode, done.stdout) == (7, ""), done.stderr
    assert "the client ran out of ports after" in done.stderr
    assert "of the 50 connections" in done.stderr
    assert "ip_local_port_range" in done.stderr


def test_ports_that_run_out_in_the_midst_make_a_run_invalid(load: Load) -> None:
    """A connection that the client has closed keeps its port for a while."""
    done = load("--rate", "200", "--reconnect", "--warm-up", "0", "--duration", "2", "--json", "-", "-q")

    assert done.returncode == 7, done.stderr
    result = json.loads(done.stdout)
    assert "ports-exhausted" in {reason["code"] for reason in result["reasons"]}
    assert result["response_time_s"]["p50"] is None


def test_who_has_enough_of_them_is_not_found_to_lack_any(load: Load) -> None:
    done = load("--users", str(PORTS // 2), "--warm-up", "0", "--duration", "1", "--json", "-", "-q")

    assert done.returncode in {0, 7}, done.stderr
    result = json.loads(done.stdout)
    assert result["connections_opened"] == PORTS // 2
    assert "ports-exhausted" not in {reason["code"] for reason in result["reasons"]}
