"""Recorded times of requests, read from a file within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from seatrial.errors import UsageError
from seatrial.load.arrivals import Trace
from seatrial.load.limits import check_file

MAX_BYTES: Final = 256 << 20


def read_trace(path: Path, most: int) -> Trace:
    """Read seconds, one a line; of a line with commas, the first column. A first line without a number is a heading.

    Args:
        path: of the file.
        most: requests that it may hold.

    Raises:
        UsageError: it is no file, too large, holds too many times, none, or something else.
    """
    check_file("the trace", str(path), MAX_BYTES)
    offsets: list[float] = []
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for offset in _read_offsets(path, lines):
                if len(offsets) == most:
                    raise UsageError(
                        f"the trace {str(path)!r} holds over {most:,} times, at most {most:,} were expected"
                    )
                offsets.append(offset)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the trace {str(path)!r} cannot be read: {error}") from error
    if not offsets:
        raise UsageError(f"the trace {str(path)!r} holds no times")
    return Trace(offsets_s=tuple(offsets), origin=path.name)


def _read_offsets(path: Path, lines: Iterable[str]) -> Iterator[float]:
    for number, line in enumerate(lines, 1):
        word = line.partition(",")[0].strip()
        if not word:
            continue
        try:
            offset = float(word)
        except ValueError:
            if number == 1:
                continue
            what = f"line {number} of the trace {str(path)!r} is {word[:80]!r}, seconds were expected"
            raise UsageError(what) from None
        if not (math.isfinite(offset) and offset >= 0):
            raise UsageError(f"line {number} of the trace {str(path)!r} is {word}, seconds from 0 on were expected")
        yield offset
