"""A terminal: a program runs on a pseudo-terminal, and what it writes there becomes the screen that its user sees."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

WAIT_S = 120.0
_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")

# Ctrl-C goes to whose terminal it is.
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """What is seen after what was written, line by line; without scrolling, as if it were high enough."""

    def __init__(self, width: int = 80) -> None:
        self.lines: list[str] = [""]
        self.is_cursor_shown = True
        self._width = width
        self._row = self._column = 0

    def write(self, text: str) -> None:
        """Do what a text asks for; what this terminal does not know is an error."""
        done = 0
        for match in _TOKEN.finditer(text):
            assert match.start() == done, f"unknown to this terminal: {text[done : done + 20]!r}"
            done = match.end()
            if match[2]:
                self._obey(match[1], match[2])
            elif match[0] == "\r":
                self._column = 0
            elif match[0] == "\n":
                self._go_to(self._row + 1)
            else:
                self._put(match[0])
        assert done == len(text), f"unknown to this terminal: {text[done : done + 20]!r}"

    def _obey(self, given: str, letter: str) -> None:
        match given, letter:
            case _, "m":
                pass
            case "?25", "h" | "l":
                self.is_cursor_shown = letter == "h"
            case _, "A":
                self._row = max(self._row - int(given or 1), 0)
            case "2", "K":
                self.lines[self._row] = ""
            case _:
                raise AssertionError(f"unknown to this terminal: ESC [ {given}{letter}")

    def _put(self, letter: str) -> None:
        if self._column == self._width:
            self._column = 0
            self._go_to(self._row + 1)
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
        self._column += 1

    def _go_to(self, row: int) -> None:
        self._row = row
        self.lines.extend("" for _ in range(len(self.lines), row + 1))


class Program:
    """A program on a terminal of its own.

    Attributes:
        text: all that it wrote there until now.
    """

    def __init__(self, popen: subprocess.Popen[str], master: int, width: int) -> None:
        self.popen = popen
        self.text = ""
        self._master = master
        self._width = width
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> None:
        """Return when what is seen matches. Raises AssertionError when that takes too long, or the program has ended."""
        deadline_s = time.monotonic() + WAIT_S
        while not re.search(pattern, self.see()):
            assert self._reader.is_alive(), f"it ended without {pattern!r}: {self.text!r}"
            assert time.monotonic() < deadline_s, f"no {pattern!r} in time: {self.text!r}"
            self._reader.join(0.02)

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.popen.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code

    def look(self) -> Screen:
        """Return the screen as it is now."""
        screen = Screen(self._width)
        # What came until now may end within a sequence.
        screen.write(re.sub(r"\x1b[^a-zA-Z]*$", "", self.text))
        return screen

    def see(self) -> str:
        """Return what is on the screen now."""
        return "\n".join(self.look().lines)

    def _read(self) -> None:
        pending = b""
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other end is closed: on Linux that is an error, not an end
                return
            if not data:
                return
            pending += data
            whole = pending.decode(errors="ignore")
            pending = pending[len(whole.encode()) :]
            self.text += whole


@contextmanager
def run_on_terminal(
    argv: Sequence[str], *, width: int = 80, environ: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Run a program whose standard streams are a terminal of a width; it is killed at the end of the block."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR", "COLUMNS", "LINES"}}
    try:
        popen = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**clean, "TERM": "xterm-256color", **(environ or {})},
            start_new_session=True,
            text=True,
        )
        os.close(slave)
        program = Program(popen, master, width)
        try:
            yield program
        finally:
            popen.kill()
            program.end()
    finally:
        os.close(master)
