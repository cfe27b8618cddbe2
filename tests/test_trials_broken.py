"""Trials that are killed, interrupted, crowded or starved: nothing of theirs is left, and nothing of others is touched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from seatrial.records import decode_run

_GONE_S = 15.0
_CLUSTER_GONE_S = 30.0


def make_environ(tmp_path: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if key != "CI"},
        "SEATRIAL_STATE_DIR": str(tmp_path / "state"),
        "SEATRIAL_OUT": str(tmp_path / "out"),
        "SEATRIAL_MODEL": "nonce",
    }


@contextmanager
def start_run(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str], threading.Event]]:
    """Start a run; yields it, its lines of progress as they come, and an event that each line sets.

    What it says at its end goes to the file `stdout`.
    """
    argv = [sys.executable, "-m", "seatrial", "run", *arguments]
    lines: list[str] = []
    news = threading.Event()
    with (tmp_path / "stdout").open("w") as stdout:
        run = subprocess.Popen(
            argv, cwd=tmp_path, env=make_environ(tmp_path), stdout=stdout, stderr=subprocess.PIPE, text=True
        )

    def read() -> None:
        assert run.stderr is not None
        for line in run.stderr:
            lines.append(line)
            news.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield run, lines, news
    finally:
        run.kill()
        run.wait()
        reader.join(timeout=10)
        assert run.stderr is not None
        run.stderr.close()


def wait_for_line(words: str, lines: list[str], news: threading.Event, timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not any(words in line for line in lines):
        assert time.monotonic() < deadline_s, f"no {words!r} within {timeout_s:g} s in:\n{''.join(lines)}"
        news.wait(0.5)
        news.clear()


def wait_until_as(machine: Any, before: dict[str, set[str]], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        after = machine.list_state()
        left = {kind: after[kind] - before[kind] for kind in before if after[kind] - before[kind]}
        if not left:
            return
        assert time.monotonic() < deadline_s, f"after {timeout_s:g} s there is still {left}"
        time.sleep(0.5)


@pytest.mark.kubernetes
def test_killed_in_the_midst_of_kind_create(tmp_path: Path, machine: Any) -> None:
    before = machine.list_state()
    with start_run(tmp_path, "--target", "kubernetes,docker,inprocess", "--profile", "smoke") as (run, lines, news):
        wait_for_line("creating cluster", lines, news)
        deadline_s = time.monotonic() + 60.0
        while not machine.list_state()["containers"] - before["containers"]:
            assert time.monotonic() < deadline_s, "no node container appeared"
            time.sleep(0.2)
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_until_as(machine, before, _CLUSTER_GONE_S)
    (records,) = (tmp_path / "out").glob("*/records.jsonl")
    assert (records.parent / "start.json").is_file()


@pytest.mark.docker
def test_interrupted_it_takes_everything_down_and_still_reports(tmp_path: Path, machine: Any) -> None:
    before = machine.list_state()
    with start_run(tmp_path, "--target", "docker,inprocess", "--profile", "standard", "--suite", "conformance") as (
        run,
        lines,
        news,
    ):
        wait_for_line("docker: ready", lines, news)
        run.send_signal(signal.SIGINT)
        code = run.wait(timeout=60)
    wait_until_as(machine, before, _GONE_S)

    assert code == 130, "".join(lines) + (tmp_path / "stdout").read_text()
    (path,) = (tmp_path / "out").glob("*/run.json")
    result = decode_run(path.read_bytes())
    assert (result.leftovers, result.verdict, result.exit_code) == ((), "error", 6)


@pytest.mark.kubernetes
def test_interrupted_in_the_midst_of_kind_create_it_does_not_wait_for_kind(tmp_path: Path, machine: Any) -> None:
    before = machine.list_state()
    with start_run(tmp_path, "--target", "kubernetes", "--profile", "smoke") as (run, lines, news):
        wait_for_line("creating cluster", lines, news)
        deadline_s = time.monotonic() + 60.0
        while not machine.list_state()["containers"] - before["containers"]:
            assert time.monotonic() < deadline_s, "no node container appeared"
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        run.wait(timeout=_CLUSTER_GONE_S)
    wait_until_as(machine, before, _GONE_S)


@dataclass
class EngineWay:
    """A way to the real engine that can be closed, as an engine that stops is closed to those who talk to it."""

    path: Path
    _sockets: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let through within the block; at its end refuse new connections, and end those that are there."""
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            serving = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            serving.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                serving.join(timeout=10)  # From here on there are no more connections than these.
                for each in self._sockets:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                self._sockets.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
            except OSError:
                return
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with source, suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.docker
def test_an_engine_that_stops_half_way(tmp_path: Path, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine.list_state()
    way = EngineWay(tmp_path / "docker.sock")
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{way.path}")
        with start_run(tmp_path, "--target", "docker,inprocess", "--profile", "standard", "--suite", "conformance") as (
            run,
            lines,
            news,
        ):
            with way.open():
                wait_for_line("docker: ready", lines, news)
            code = run.wait(timeout=90)
        argv = [sys.executable, "-m", "seatrial", "clean"]
        with way.open():
            clean = subprocess.run(argv, env=make_environ(tmp_path), capture_output=True, text=True, timeout=60)
    (path,) = (tmp_path / "out").glob("*/run.json")
    result = decode_run(path.read_bytes())
    docker = result.targets["docker"]
    said = (tmp_path / "stdout").read_text()

    assert code == result.exit_code == 6
    assert "Traceback" not in "".join(lines) + said
    assert result.targets["inprocess"].status == "pass"
    assert docker.status == result.verdict == "error"
    assert {check.status for check in docker.checks} <= {"pass", "error", "unsupported"}
    broken = {check.id: check.message for check in docker.checks if check.status == "error"}
    assert {"R06", "L07", "L03"} <= set(broken)
    assert {each: message for each, message in broken.items() if "Fix: " not in message} == {}
    assert {"engine", "container", "image"} <= {left.kind for left in result.leftovers}
    for left in result.leftovers:
        assert f"left behind: {left.kind} {left.id}" in said
    assert "run `seatrial clean`" in said

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "removed: container" in clean.stdout
    wait_until_as(machine, before, _GONE_S)


@pytest.mark.docker
def test_two_trials_at_once_do_not_disturb_each_other(tmp_path: Path, machine: Any) -> None:
    before = machine.list_state()
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    arguments = ("--target", "docker,local", "--profile", "smoke")
    with start_run(first, *arguments) as (one, _, _), start_run(second, *arguments) as (other, _, _):
        codes = (one.wait(timeout=170), other.wait(timeout=170))

    assert codes == (0, 0)
    for directory in (first, second):
        (path,) = (directory / "out").glob("*/run.json")
        assert decode_run(path.read_bytes()).verdict == "pass"
    wait_until_as(machine, before, _GONE_S)


@pytest.mark.docker
def test_a_trial_that_is_killed_leaves_another_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    arguments = ("--target", "docker", "--profile", "standard", "--suite", "conformance")
    with start_run(first, *arguments) as (one, lines, news), start_run(second, *arguments) as (other, _, _):
        wait_for_line("docker: ready", lines, news)
        one.send_signal(signal.SIGKILL)
        assert other.wait(timeout=170) == 0


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--target", "local", "--profile", "smoke", "--set", f"targets.local.port={port}")
        with start_run(tmp_path, *arguments) as (run, lines, _):
            code = run.wait(timeout=60)

    assert code == 6
    assert f"cannot listen on 127.0.0.1:{port}: something else does" in "".join(lines)


@pytest.mark.provision
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path, machine: Any) -> None:
    out = tmp_path / "small"
    out.mkdir()
    # A page each for what begins the trial and for the two logs: the last two hold some records, but not all. With this seed
    # `inprocess` is asked first; deployments of checks that are asked beside others would have logs of their own.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(out)], check=True)
    arguments = ("--target", "inprocess,local", "--profile", "standard", "--suite", "conformance", "--out", str(out))
    arguments += ("--seed", "0", "--serial")
    try:
        with start_run(tmp_path, *arguments) as (run, lines, _):
            code = run.wait(timeout=60)
        (directory,) = out.iterdir()
    finally:
        subprocess.run(["umount", str(out)], check=True)

    text = "".join(lines)
    assert code == 6
    assert "No space left on device: nothing more is asked" in text
    assert "Traceback" not in text + (tmp_path / "stdout").read_text()
    assert "test_golden_cases[inprocess]: passed" in text
    assert "test_stop_and_return[local]" not in text
    assert machine.list_marked_processes(directory.name) == []


def test_records_survive_a_kill(tmp_path: Path) -> None:
    with start_run(tmp_path, "--target", "inprocess", "--profile", "standard", "--suite", "conformance") as (
        run,
        lines,
        news,
    ):
        wait_for_line("test_golden_cases[inprocess]: passed", lines, news)
        run.send_signal(signal.SIGKILL)
        run.wait()
    (path,) = (tmp_path / "out").glob("*/records.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    assert "R01" in [row["data"]["id"] for row in rows if row["kind"] == "check"]
