"""Servers that answer in a known way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("answering.py")


@pytest.fixture(autouse=True)
def own_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what a test starts a lock of the machine of its own: whether a load run waits is not for others to decide."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("machine")))


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Start a server of a kind, with TLS where it is given a certificate; returns its port."""
    with ExitStack() as stack:

        def start(kind: str, *numbers: float, tls: Path | None = None) -> int:
            secured = ["--tls", str(tls)] if tls else []
            argv = [sys.executable, str(PROGRAM), kind, *map(str, numbers), *secured]
            popen = stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            )
            stack.callback(popen.kill)
            assert popen.stdout is not None
            return int(popen.stdout.readline())

        yield start
