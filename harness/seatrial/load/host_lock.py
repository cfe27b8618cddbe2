"""Timed windows on one machine: one at a time, and nothing of any trial beside them.

Two files hold it, locked as flock(2) does, so that a process that dies lets go. Who disturbs (deploys, asks) shares the second;
who measures holds both alone. The first is a turnstile: whoever waits to measure holds it, so that newcomers do not pass.

The files are `.seatrial-turnstile.lock` and `.seatrial-window.lock` in the temporary directory: /tmp unless TMPDIR (or TEMP, TMP)
names another. Processes that have different ones, such as containers with a /tmp of their own and users of macOS, know nothing of
one another and measure at once. It is no one place for all, so that who must not wait for others can have a lock of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from seatrial.errors import HarnessError, UsageError

PATIENCE_S: Final = 1800.0
HELD_BY: Final = "SEATRIAL_HELD_BY"
"""In the environment of what a test starts: the process that keeps others from measuring until that test has ended."""
_POLL_S: Final = 0.05
_SAID_AFTER_S: Final = 1.0
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC


class HostLock:
    """The machine's, for every user of it whose temporary directory is the same.

    Args:
        directory: where the files lie; this process's temporary directory when None.
        patience_s: how long either side waits.
    """

    def __init__(self, directory: Path | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self._directory = directory or Path(tempfile.gettempdir())
        self._patience_s = patience_s
        self._guard = threading.Lock()
        self._joining = threading.Lock()
        self._sharers = 0
        self._held: contextlib.ExitStack | None = None

    @contextlib.contextmanager
    def disturb(
        self, say: Callable[[str], None] = lambda _line: None, hurry: threading.Event | None = None
    ) -> Iterator[None]:
        """Wait while something is measured, and keep others from measuring during the block.

        Blocks of one process may overlap: while one is under way, others begin at once, for it may be waiting for them.
        Once `hurry` is set nobody waits: the block begins although something is measured.

        Raises:
            HarnessError: something is measured for longer than `patience_s`.
        """
        if not self._share(say, hurry):
            yield
            return
        try:
            yield
        finally:
            with self._guard:
                self._sharers -= 1
                if not self._sharers and self._held is not None:
                    self._held.close()
                    self._held = None

    @contextlib.contextmanager
    def measure(self, say: Callable[[str], None] = lambda _line: None) -> Iterator[None]:
        """Wait until nothing disturbs and nobody measures, and hold both off during the block.

        Raises:
            HarnessError: the machine does not come to rest within `patience_s`.
            UsageError: it is kept from rest by a test that this process runs in, which would wait for itself.
        """
        # For the one or the other: that it waits is said once.
        say_once = functools.cache(say)
        with self._open("turnstile") as turnstile, self._open("window") as window:
            self._lock(turnstile, fcntl.LOCK_EX, say_once)
            self._lock(window, fcntl.LOCK_EX, say_once)
            yield

    def _share(self, say: Callable[[str], None], hurry: threading.Event | None) -> bool:
        """Become one of those who disturb; returns False when there is no time to wait for it."""
        # Whoever joins may itself be waiting for the files, without a hurry.
        while not self._joining.acquire(timeout=-1 if hurry is None else _POLL_S):
            if hurry is not None and hurry.is_set():
                return False
        try:
            with self._guard:
                joined = self._sharers > 0
                self._sharers += joined
            if joined:
                return True
            with contextlib.ExitStack() as stack:
                with self._open("turnstile") as turnstile:
                    if not self._lock(turnstile, fcntl.LOCK_SH, say, hurry):
                        return False
                    if not self._lock(stack.enter_context(self._open("window")), fcntl.LOCK_SH, say, hurry):
                        return False
                with self._guard:
                    self._held, self._sharers = stack.pop_all(), self._sharers + 1
            return True
        finally:
            self._joining.release()

    def _lock(self, file: int, how: int, say: Callable[[str], None], hurry: threading.Event | None = None) -> bool:
        """Lock a file; returns False when there is no time to wait for it."""
        began_s, said = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if how == fcntl.LOCK_EX:
                    _refuse_within_a_test()
                waited_s = time.monotonic() - began_s
            else:
                return True
            if hurry is not None and hurry.is_set():
                return False
            if waited_s > self._patience_s:
                raise HarnessError(
                    f"another trial or load run has this machine for {waited_s:.0f} s already",
                    fix="let it end, or end it: two at a time would measure one another",
                )
            if waited_s > _SAID_AFTER_S and not said:
                said = True
                say("waiting until nothing else of a trial or load run uses this machine")
            time.sleep(_POLL_S)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[int]:
        path = self._directory / f".seatrial-{name}.lock"
        try:
            # Without O_CREAT first: in a sticky directory the kernel may refuse it to whoever does not own the file.
            file = os.open(path, _OPEN)
        except FileNotFoundError:
            file = os.open(path, _OPEN | os.O_CREAT, 0o666)
            with contextlib.suppress(OSError):
                path.chmod(0o666)
        except PermissionError as error:
            raise HarnessError(f"the machine's lock {path} cannot be opened: {error}", fix=f"remove {path}") from error
        try:
            yield file
        finally:
            os.close(file)


class _Holders:
    """How many tests of this process say so at the moment, and what the environment said before the first."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.count = 0
        self.before: str | None = None


_HOLDERS: Final = _Holders()


@contextlib.contextmanager
def announce_holder() -> Iterator[None]:
    """Let what is started during the block know that this process keeps others from measuring until the block's end.

    Blocks of several threads may overlap.
    """
    with _HOLDERS.guard:
        if not _HOLDERS.count:
            _HOLDERS.before = os.environ.get(HELD_BY)
            os.environ[HELD_BY] = str(os.getpid())
        _HOLDERS.count += 1
    try:
        yield
    finally:
        with _HOLDERS.guard:
            _HOLDERS.count -= 1
            if not _HOLDERS.count and _HOLDERS.before is None:
                del os.environ[HELD_BY]
            elif not _HOLDERS.count:
                os.environ[HELD_BY] = str(_HOLDERS.before)


def _refuse_within_a_test() -> None:
    holder = os.environ.get(HELD_BY, "")
    if not holder.isdecimal() or int(holder) not in _list_ancestors():
        return
    raise UsageError(
        f"this runs within a test of a trial (process {holder}), which keeps this machine from being measured until the test has "
        "ended: each would wait for the other",
        fix="name the fixture seatrial_load among the test's arguments: such a test keeps nobody from measuring, and the fixture "
        "puts load on by itself",
    )


def _list_ancestors() -> set[int]:
    """This process and those that it descends from."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return {os.getpid()}
