"""Clients that ask side by side."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from seatrial_suites.conformance.together import ask_at_once

_BOUND_S = 60.0


def test_all_wait_until_all_are_ready() -> None:
    def ask(number: int, gate: threading.Barrier) -> tuple[int, int]:
        return number, gate.wait(_BOUND_S)

    asked = ask_at_once(5, ask)

    assert [number for number, _ in asked] == [0, 1, 2, 3, 4]
    assert sorted(arrived for _, arrived in asked) == [0, 1, 2, 3, 4]


def test_what_one_raises_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    def ask(number: int, gate: threading.Barrier) -> None:
        if number == 0:
            raise LookupError
        with pytest.raises(threading.BrokenBarrierError):
            gate.wait(_BOUND_S)
        ended.append(number)

    with pytest.raises(LookupError):
        ask_at_once(3, ask)

    assert sorted(ended) == [1, 2]


def test_who_is_interrupted_waits_for_nobody() -> None:
    never = threading.Event()
    opened = threading.Event()

    def ask(number: int, gate: threading.Barrier) -> None:
        if number == 0:
            raise KeyboardInterrupt
        if number == 1:
            never.wait()
        try:
            gate.wait(_BOUND_S)
        except threading.BrokenBarrierError:
            opened.set()

    try:
        with pytest.raises(KeyboardInterrupt):
            ask_at_once(3, ask)
        assert opened.wait(_BOUND_S / 2)
    finally:
        never.set()


def test_no_client_keeps_a_process_from_ending() -> None:
    program = (
        "import threading\nfrom seatrial_suites.conformance.together import begin\nbegin(threading.Event().wait)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], timeout=_BOUND_S, check=False)

    assert done.returncode == 0
