"""Interrupts that wait for the end of what must be done whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from seatrial.cli.putting_off import interrupts_put_off

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def interrupting() -> Iterator[None]:
    """SIGTERM as the load commands have it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_comes_meanwhile_is_dealt_with_afterwards(number: signal.Signals) -> None:
    done: list[str] = []

    def work() -> None:
        with interrupts_put_off():
            signal.raise_signal(number)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["whole"]
    assert {signal.getsignal(each) for each in NUMBERS} == {signal.default_int_handler}


def test_what_came_before_the_block_broke_is_not_lost() -> None:
    def work() -> None:
        with interrupts_put_off():
            signal.raise_signal(signal.SIGINT)
            raise OSError

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert isinstance(caught.value.__context__, OSError)
    assert {signal.getsignal(each) for each in NUMBERS} == {signal.default_int_handler}


def test_who_ignores_them_goes_on_doing_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_put_off():
        signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_one_that_comes_while_handlers_are_put_back_leaves_none_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    put = signal.signal
    calls = 0

    def put_and_be_interrupted(number: int, handler: object) -> object:
        nonlocal calls
        calls += 1
        put(number, handler)  # type: ignore[arg-type]
        # Both were taken away, and one is back.
        if calls == len(NUMBERS) + 1:
            signal.raise_signal(signal.SIGTERM)
        return None

    def work() -> None:
        with interrupts_put_off():
            pass

    monkeypatch.setattr(signal, "signal", put_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        work()
    for number in NUMBERS:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
