"""Timed windows: one at a time on a machine, with nothing of any trial beside them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.errors import HarnessError, UsageError
from seatrial.load.host_lock import HELD_BY, HostLock, announce_holder

HOLDER = """
import sys, pathlib
from seatrial.load.host_lock import HostLock
lock = HostLock(pathlib.Path(sys.argv[1]))
with getattr(lock, sys.argv[2])():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> HostLock:
    return HostLock(tmp_path, patience_s=0.3)


@pytest.fixture
def measuring(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from hold(tmp_path, "measure")


@pytest.fixture
def disturbing(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from hold(tmp_path, "disturb")


def hold(directory: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends, or it does."""
    argv = [sys.executable, "-c", HOLDER, str(directory), how]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        assert popen.stdout.readline() == "held\n"
        yield popen
        popen.kill()


@pytest.mark.parametrize("how", ["measure", "disturb"])
def test_nothing_goes_on_beside_a_measurement(lock: HostLock, measuring: subprocess.Popen[str], how: str) -> None:
    with pytest.raises(HarnessError, match="has this machine for"), getattr(lock, how)():
        pass


def test_nothing_is_measured_beside_what_disturbs(lock: HostLock, disturbing: subprocess.Popen[str]) -> None:
    with lock.disturb():
        pass
    with pytest.raises(HarnessError, match="has this machine for"), lock.measure():
        pass


def test_whoever_waits_says_so_and_goes_on_when_the_other_dies(
    tmp_path: Path, measuring: subprocess.Popen[str]
) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        measuring.kill()

    with HostLock(tmp_path, patience_s=30.0).measure(say):
        pass

    assert said == ["waiting until nothing else of a trial or load run uses this machine"]


def test_whoever_waits_twice_says_so_once(tmp_path: Path) -> None:
    """First for who waits to measure, then for what is measured."""
    said: list[str] = []
    with HostLock(tmp_path).measure():
        pass
    turnstile, window = (tmp_path.joinpath(f".seatrial-{name}.lock").open() for name in ("turnstile", "window"))
    with turnstile, window:
        for file in (turnstile, window):
            fcntl.flock(file, fcntl.LOCK_EX)

        def say(line: str) -> None:
            said.append(line)
            fcntl.flock(turnstile, fcntl.LOCK_UN)
            # Longer than a wait may be without a word.
            threading.Timer(1.5, fcntl.flock, (window, fcntl.LOCK_UN)).start()

        with HostLock(tmp_path, patience_s=30.0).measure(say):
            pass

    assert len(said) == 1


def test_newcomers_do_not_pass_whoever_waits_to_measure(tmp_path: Path, disturbing: subprocess.Popen[str]) -> None:
    """What another process does waits behind a measurement that waits itself."""
    order: list[str] = []
    waits = threading.Event()

    def measure() -> None:
        with HostLock(tmp_path, patience_s=30.0).measure(lambda _line: waits.set()):
            order.append("measured")

    def disturb() -> None:
        with HostLock(tmp_path, patience_s=30.0).disturb(lambda _line: blocked.set()):
            order.append("disturbed")

    blocked = threading.Event()
    threads = [threading.Thread(target=measure)]
    threads[0].start()
    assert waits.wait(20.0)
    threads.append(threading.Thread(target=disturb))
    threads[1].start()
    assert blocked.wait(20.0)
    assert order == []
    disturbing.kill()
    for thread in threads:
        thread.join(20.0)
    assert order == ["measured", "disturbed"]


def test_blocks_of_one_process_join_even_while_another_waits(tmp_path: Path) -> None:
    """A test that waits for a bring-up of its own process must not wait for ever."""
    lock = HostLock(tmp_path, patience_s=30.0)
    with lock.disturb():
        other = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), "measure"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            deadline = time.monotonic() + 20.0
            while is_free(tmp_path) and time.monotonic() < deadline:
                pass
            assert not is_free(tmp_path), "the other has not got to the turnstile"
            joined = threading.Thread(target=lambda: enter(lock))
            joined.start()
            joined.join(10.0)
            assert not joined.is_alive()
        finally:
            other.kill()
            other.communicate()


def test_who_is_in_a_hurry_disturbs_what_is_measured(tmp_path: Path, measuring: subprocess.Popen[str]) -> None:
    hurry = threading.Event()
    entered: list[bool] = []

    def wait() -> None:
        with HostLock(tmp_path, patience_s=30.0).disturb(lambda _line: waits.set(), hurry):
            entered.append(hurry.is_set())

    waits = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(20.0)
    hurry.set()
    thread.join(20.0)
    assert entered == [True]
    assert measuring.poll() is None


def test_who_is_in_a_hurry_does_not_wait_for_whoever_waits_without(
    tmp_path: Path, measuring: subprocess.Popen[str]
) -> None:
    """Of one process, where only one asks for the files."""
    lock, waits, hurry = HostLock(tmp_path, patience_s=30.0), threading.Event(), threading.Event()
    hurry.set()

    def wait() -> None:
        with lock.disturb(lambda _line: waits.set()):
            pass

    def pass_by() -> None:
        with lock.disturb(hurry=hurry):
            pass

    patient, hasty = threading.Thread(target=wait), threading.Thread(target=pass_by)
    patient.start()
    assert waits.wait(20.0)
    hasty.start()
    hasty.join(10.0)
    assert not hasty.is_alive()
    assert patient.is_alive()
    measuring.kill()
    patient.join(20.0)
    assert not patient.is_alive()


def test_who_is_in_a_hurry_keeps_others_from_measuring_where_nobody_does(lock: HostLock, tmp_path: Path) -> None:
    hurry = threading.Event()
    hurry.set()
    with (
        HostLock(tmp_path).disturb(hurry=hurry),
        pytest.raises(HarnessError, match="has this machine for"),
        lock.measure(),
    ):
        pass


MEASURER = """
import sys, pathlib
from seatrial.errors import SeatrialError
from seatrial.load.host_lock import HostLock
try:
    with HostLock(pathlib.Path(sys.argv[1]), patience_s=0.3).measure():
        print("measured")
except SeatrialError as error:
    print(type(error).__name__, error)
"""


def measure_in_a_child(directory: Path) -> str:
    argv = [sys.executable, "-c", MEASURER, str(directory)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_what_a_holder_waits_for_is_refused_at_once(tmp_path: Path) -> None:
    """A child of a test cannot wait until that test has ended."""
    lock = HostLock(tmp_path, patience_s=30.0)
    with lock.disturb(), announce_holder():
        said = measure_in_a_child(tmp_path)
        with pytest.raises(UsageError, match="each would wait for the other"), lock.measure():
            pass

    assert said.startswith("UsageError this runs within a test of a trial")
    assert "seatrial_load" in said
    assert measure_in_a_child(tmp_path) == "measured\n"


def test_whoever_does_not_descend_from_the_holder_waits(
    tmp_path: Path, disturbing: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HELD_BY, str(disturbing.pid))

    assert measure_in_a_child(tmp_path).startswith("HarnessError another trial or load run has this machine")


def test_a_holder_within_another_is_forgotten_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HELD_BY, raising=False)
    with announce_holder():
        held = os.environ[HELD_BY]
        with announce_holder():
            pass
        assert os.environ[HELD_BY] == held
    assert HELD_BY not in os.environ


@pytest.mark.parametrize("before", ["", "1"])
def test_holders_of_two_threads_may_overlap_in_any_order(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HELD_BY, before)
    first, second = announce_holder(), announce_holder()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.environ[HELD_BY] == str(os.getpid()), "the second still holds"
    second.__exit__(None, None, None)
    assert os.environ[HELD_BY] == before


def enter(lock: HostLock) -> None:
    with lock.disturb():
        pass


def is_free(directory: Path) -> bool:
    """Whether a newcomer could get in at once."""
    try:
        enter(HostLock(directory, patience_s=0.0))
    except HarnessError:
        return False
    return True
