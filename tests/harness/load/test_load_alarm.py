"""An alarm calls back once, not before its time."""

from __future__ import annotations

import asyncio
import ctypes
import time

import pytest

from seatrial.load.alarm import COARSE_NS, FINE_NS, Alarm


def ring(waits_ns: list[int]) -> tuple[list[int], int]:
    """Set an alarm for each wait after the other has rung; return how late each rang, and its margin."""

    async def run() -> tuple[list[int], int]:
        rung = asyncio.Event()
        alarm = Alarm(asyncio.get_running_loop(), rung.set)
        lates = []
        try:
            for wait_ns in waits_ns:
                due_ns = time.monotonic_ns() + wait_ns
                alarm.set(due_ns)
                async with asyncio.timeout(10):
                    await rung.wait()
                lates.append(time.monotonic_ns() - due_ns)
                rung.clear()
        finally:
            alarm.close()
        return lates, alarm.margin_ns

    return asyncio.run(run())


def test_it_rings_once_for_each_time_and_never_early() -> None:
    lates, margin_ns = ring([3_000_000, 100_000, 1_500_000, 0, -1_000_000])

    assert min(lates) >= 0
    assert margin_ns in {FINE_NS, COARSE_NS}


def test_without_a_timer_of_the_kernel_it_is_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    lates, margin_ns = ring([3_000_000, 100_000, 0])

    assert margin_ns == COARSE_NS
    # The loop's timers may be a millisecond early as well: what is early is spun.
    assert min(lates) >= -COARSE_NS


@pytest.mark.parametrize("kind", ["kernel", "loop"])
def test_the_time_that_was_set_before_is_forgotten(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "loop":
        monkeypatch.setattr(ctypes, "CDLL", lambda name: object())

    async def run() -> list[int]:
        rung: list[int] = []
        alarm = Alarm(asyncio.get_running_loop(), lambda: rung.append(time.monotonic_ns()))
        try:
            alarm.set(time.monotonic_ns() + 1_000_000)
            alarm.set(time.monotonic_ns() + 5_000_000)
            async with asyncio.timeout(10):
                while not rung:  # noqa: ASYNC110 - the alarm has no event to wait for
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0)
        finally:
            alarm.close()
        return rung

    assert len(asyncio.run(run())) == 1
