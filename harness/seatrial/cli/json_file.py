"""A result that a command writes with `--json FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import UsageError

if TYPE_CHECKING:
    import msgspec

STANDARD_OUTPUT = "-"


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
