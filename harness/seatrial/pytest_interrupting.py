"""Interrupting: Ctrl-C ends a session also where Python has lost it.

The handler of SIGINT raises KeyboardInterrupt in whatever runs just then. In a callback of the garbage collector or of a weak
reference, or in `__del__`, nobody can be given it: it goes to `sys.unraisablehook`
(https://docs.python.org/3/library/sys.html#sys.unraisablehook), and the tests would go on as if nobody had interrupted them.
Such callbacks are there: hypothesis times the collector by one.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class Interrupting:
    """A pytest plug-in that raises an interrupt which was lost again, before the next test."""

    def __init__(self) -> None:
        self._is_lost = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        told = sys.unraisablehook

        def note(unraisable: UnraisableHookArgs) -> None:
            self._is_lost |= issubclass(unraisable.exc_type, KeyboardInterrupt)
            told(unraisable)

        sys.unraisablehook = note
        try:
            result = yield
        finally:
            sys.unraisablehook = told
        self._raise_again()
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> None:
        self._raise_again()

    def _raise_again(self) -> None:
        if self._is_lost:
            self._is_lost = False
            raise KeyboardInterrupt
