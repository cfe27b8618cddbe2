"""Hosts on a network of their own, made of Linux namespaces: each has addresses, a loopback and a monotonic clock of its own.

They share a kernel, a file system and the wall clock. No rights are needed where users may make namespaces; nothing of it is
left when the processes that hold the namespaces have ended.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_HOLD = "echo held; exec cat"


class NoHostsError(Exception):
    """Namespaces cannot be made here."""


@dataclass(frozen=True)
class Host:
    """One of them."""

    address: str
    link: str
    pid: int

    def enter(self, *argv: str) -> list[str]:
        """Return the command that runs another one on this host."""
        spaces = ("--user", "--net", "--time", "--preserve-credentials")
        return ["nsenter", "--target", str(self.pid), *spaces, "--", *argv]


class Hosts:
    """A bridge, and hosts on it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._pid = self._hold(["unshare", "--user", "--map-root-user", "--net"])
        self._count = 0
        self._run("ip", "link", "add", "bridge", "type", "bridge")
        self._run("ip", "link", "set", "bridge", "up")

    @classmethod
    @contextmanager
    def make(cls) -> Iterator[Self]:
        """Give a network without hosts for the length of the block. Raises NoHostsError."""
        with ExitStack() as stack:
            try:
                hosts = cls(stack)
            except (OSError, subprocess.CalledProcessError) as error:
                raise NoHostsError(f"{error} {getattr(error, 'stderr', '')}") from error
            yield hosts

    def add(self, *, ahead_s: int) -> Host:
        """Return a new host, whose monotonic clock is so far ahead of this one's."""
        self._count += 1
        link, address = f"link{self._count}", f"10.0.0.{self._count}"
        clock = ("--time", "--monotonic", str(ahead_s), "--boottime", str(ahead_s))
        host = Host(address, link, self._hold([*self._enter(), "unshare", "--net", *clock]))
        self._run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        self._run("ip", "link", "set", link, "master", "bridge", "up")
        for argv in (
            ("ip", "address", "add", f"{address}/24", "dev", "eth0"),
            ("ip", "link", "set", "eth0", "up"),
            ("ip", "link", "set", "lo", "up"),
        ):
            _call(host.enter(*argv))
        return host

    def cut(self, host: Host) -> None:
        """Pull the cable of a host."""
        self._run("ip", "link", "set", host.link, "down")

    def start(self, host: Host, argv: Sequence[str], directory: Path, **how: Any) -> subprocess.Popen[str]:
        """Run a program on a host in a new directory of its own, which is its home too; it ends with the block."""
        directory.mkdir()
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TMPDIR": str(directory)}
        with (directory / "log").open("w", encoding="utf-8") as log:
            how = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **how}
            popen = subprocess.Popen(host.enter(*argv), cwd=directory, env=environ, text=True, **how)
        self._stack.callback(_end, popen)
        return popen

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--user", "--net", "--preserve-credentials", "--"]

    def _run(self, *argv: str) -> None:
        _call([*self._enter(), *argv])

    def _hold(self, argv: Sequence[str]) -> int:
        """Return a process that keeps namespaces until its standard input ends."""
        popen = subprocess.Popen(
            [*argv, "sh", "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._stack.callback(_end, popen)
        assert popen.stdout is not None
        assert popen.stderr is not None
        if popen.stdout.readline() != "held\n":
            raise OSError(popen.stderr.read())
        return popen.pid


def _call(argv: Sequence[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)


def _end(popen: subprocess.Popen[str]) -> None:
    popen.kill()
    popen.wait()
    for stream in (popen.stdin, popen.stdout, popen.stderr):
        if stream is not None:
            stream.close()
