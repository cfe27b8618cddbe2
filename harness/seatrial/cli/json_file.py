"""A result that a command writes with `--json FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import UsageError
from seatrial.load.result_file import write_file

if TYPE_CHECKING:
    import msgspec

STANDARD_OUTPUT = "-"


def write_json(result: msgspec.Struct, file: str) -> None:
    """Write a result, whole or not at all; to a pipe or a device as it comes.

    Raises:
        UsageError: it cannot be written.
    """
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if file == STANDARD_OUTPUT:
        sys.stdout.write(data.decode())
        return
    try:
        write_file(Path(file), data)
    except OSError as error:
        raise UsageError(f"the result cannot be written to {file!r}: {error}") from error
