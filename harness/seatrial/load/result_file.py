"""Where the file of a result is, and how it is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_STREAMS: Final = (1, 2)


def find_place(path: Path) -> Path:
    """Return the path of the file itself where this is a link to it; a link that leads to itself is all there is."""
    # Path.resolve raises at such a link, or does not, as the version of Python has it.
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def is_special(path: Path) -> bool:
    """Whether there is something that no file may take the place of: a pipe, a device, or where this process writes to."""
    return path.exists() and (not path.is_file() or _find_stream(path) is not None)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what is none, as a pipe or a device, is written to and stays.

    Raises:
        OSError: it cannot be written.
    """
    if is_special(path):
        _write_to(path, data)
        return
    place = find_place(path)
    draft = place.with_name(f".{place.name}.part")
    draft.write_bytes(data)
    draft.replace(place)


def _write_to(path: Path, data: bytes) -> None:
    sys.stdout.flush()
    stream = _find_stream(path)
    # Opened anew, /dev/stdout begins at the file's start, over what was printed, and a socket cannot be opened at all.
    with path.open("wb") if stream is None else os.fdopen(stream, "wb", closefd=False) as file:
        file.write(data)


def _find_stream(path: Path) -> int | None:
    """Return the descriptor of standard output or standard error where the path is the same file."""
    there = path.stat()
    for stream in _STREAMS:
        try:
            if os.path.samestat(there, os.fstat(stream)):
                return stream
        except OSError:  # closed
            continue
    return None
