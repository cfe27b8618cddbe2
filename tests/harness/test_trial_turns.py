"""Turns and the lane: one at a time, in the order in which they came; and work of which the outcome comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from seatrial.trial.lane import Lane
from seatrial.trial.turns import Turns

PATIENCE_S = 20.0


def start(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_whoever_waits_goes_before_who_asks_again() -> None:
    turns, order, waits = Turns(), [], threading.Event()

    def wait() -> None:
        waits.set()
        with turns.take("a", {}):
            order.append("other")

    with turns.take("a", {}):
        thread = start(wait)
        assert waits.wait(PATIENCE_S)
        while not turns.count_waiting("a"):
            threading.Event().wait(0.001)
        order.append("first")
    with turns.take("a", {}):
        order.append("again")
    thread.join(PATIENCE_S)

    assert order == ["first", "other", "again"]


def test_one_that_has_its_turn_may_take_it_again() -> None:
    turns, got = Turns(), threading.Event()

    def take() -> None:
        with turns.take("a", {}):
            got.set()

    with turns.take("a", {}):
        with turns.take("a", {}):
            pass
        start(take)
        assert not got.wait(0.05), "the inner block's end is not the end of the turn"
    assert got.wait(PATIENCE_S)


def test_who_waits_is_told_how_long_and_who_does_not_is_told_nothing() -> None:
    turns, waited, at_once = Turns(), {"waited_for_turn_s": 1.0}, {}

    def wait() -> None:
        with turns.take("a", waited):
            pass

    with turns.take("a", at_once):
        thread = start(wait)
        while not turns.count_waiting("a"):
            threading.Event().wait(0.001)
    thread.join(PATIENCE_S)

    assert waited["waited_for_turn_s"] > 1.0
    assert at_once == {}


def test_targets_have_turns_of_their_own_and_a_failure_gives_one_back() -> None:
    turns = Turns()

    with turns.take("a", {}), turns.take("b", {}):
        pass
    with pytest.raises(KeyError), turns.take("a", {}):
        raise KeyError("mine")
    thread = start(lambda: turns.take("a", {}).__enter__())
    thread.join(PATIENCE_S)

    assert not thread.is_alive()


def test_a_lane_that_is_closed_makes_no_further_call() -> None:
    lane, is_begun, may_end = Lane(), threading.Event(), threading.Event()

    def wait() -> None:
        is_begun.set()
        may_end.wait(PATIENCE_S)

    first, second = lane.submit(wait), lane.submit(lambda: None)
    assert is_begun.wait(PATIENCE_S)

    lane.close()
    may_end.set()

    first.result(PATIENCE_S)
    with pytest.raises(TimeoutError):
        second.result(0.1)


def test_a_lane_gives_back_what_came_of_a_call() -> None:
    lane = Lane()

    def fail() -> None:
        raise SystemExit(3)

    failing, name = lane.submit(fail), lane.submit(lambda: threading.current_thread().name)

    with pytest.raises(SystemExit):
        failing.result(PATIENCE_S)
    assert name.result(PATIENCE_S) == "apart"
