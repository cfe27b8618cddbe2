"""A result that a command writes with `--json FILE`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import UsageError

if TYPE_CHECKING:
    import msgspec

STANDARD_OUTPUT = "-"


def check_writable(file: str) -> None:
    """Return when a result could be written there; empty is nowhere, `-` is standard output. To be asked before the work.

    Raises:
        UsageError: it is a directory, or in none that may be written to.
    """
    if file in {"", STANDARD_OUTPUT}:
        return
    directory = Path(file).parent
    if Path(file).is_dir():
        raise UsageError(f"{file!r} cannot be written: it is a directory, a file was expected")
    if not directory.is_dir():
        raise UsageError(f"{file!r} cannot be written: there is no directory {str(directory)!r}")
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{file!r} cannot be written: the directory {str(directory)!r} may not be written to")


def write_json(result: msgspec.Struct, file: str) -> None:
    """Write a result, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if file == STANDARD_OUTPUT:
        sys.stdout.write(data.decode())
        return
    path = Path(file)
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"the result cannot be written to {file!r}: {error}") from error
