"""What a client says that it used, of the window and of what is before and after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seatrial.load import own_use
from seatrial.load.own_use import OwnUse, Use, read_use


def mark(use: OwnUse, *moments: Callable[[OwnUse], None]) -> OwnUse:
    for each in moments:
        each(use)
    return use


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Use]:
    """Uses that are read one after the other, the first one first."""
    left: list[Use] = []
    monkeypatch.setattr(own_use, "read_use", lambda _: left.pop(0))
    return left


def make_use(at_s: float, cpu_s: float, waited_s: float | None) -> Use:
    return Use(at_ns=int(at_s * 1e9), cpu_s=cpu_s, spun_s=cpu_s / 2, waited_s=waited_s)


WHOLE = (OwnUse.begin, OwnUse.begin_window, OwnUse.end_window, OwnUse.end)


def test_what_was_before_and_after_a_window_is_not_in_it(readings: list[Use]) -> None:
    readings += [make_use(10, 1.0, 5.0), make_use(12, 3.0, 6.0), make_use(13, 3.5, 6.25), make_use(23, 9.5, 9.25)]

    use = mark(OwnUse(), *WHOLE)

    assert (use.from_ns, use.until_ns) == (12 * 10**9, 13 * 10**9)
    assert use.window == make_use(1, 0.5, 0.25)
    assert use.warm_up == make_use(2, 2.0, 1.0)
    assert use.drain == make_use(10, 6.0, 3.0)
    assert use.whole == make_use(13, 8.5, 4.25)


def test_a_moment_comes_once(readings: list[Use]) -> None:
    readings += [make_use(at, at, at) for at in range(8)]

    use = mark(OwnUse(), OwnUse.begin, OwnUse.begin_window, OwnUse.begin_window, OwnUse.end_window, OwnUse.end_window)

    assert (use.from_ns, use.until_ns) == (10**9, 2 * 10**9)


def test_a_window_too_short_to_be_seen_is_told_of_with_what_was_before_it(readings: list[Use]) -> None:
    readings += [make_use(10, 1.0, 5.0), make_use(12, 2.0, 6.0), make_use(13, 2.5, 6.5)]

    use = mark(OwnUse(), OwnUse.begin, OwnUse.end_window, OwnUse.end)

    assert (use.is_in_window, use.from_ns) == (False, 0)
    assert (use.warm_up.cpu_s, use.window.cpu_s, use.drain.cpu_s) == (0.0, 1.0, 0.5)


@pytest.mark.parametrize("text", [None, "", "1 x 3", "12"])
def test_a_kernel_that_does_not_tell_of_waiting_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "schedstat").write_text(text)
    monkeypatch.setattr(own_use, "SCHEDSTAT", tmp_path / "schedstat")

    use = mark(OwnUse(), *WHOLE)

    assert use.window.waited_s is None
    assert use.whole.cpu_s >= 0.0


def test_work_and_waiting_are_those_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schedstat").write_text("7000000000 2500000000 42\n")
    monkeypatch.setattr(own_use, "SCHEDSTAT", tmp_path / "schedstat")
    before = read_use(0)
    until_s = time.process_time() + 0.05
    while time.process_time() < until_s:
        os.getpid()

    used = read_use(10**9) - before

    assert read_use(0).waited_s == 2.5
    assert used.cpu_s >= 0.05
    assert used.at_ns >= 50_000_000
    assert used.spun_s == 1.0
