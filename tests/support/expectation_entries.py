"""An entry of expected failures, as a file has it and as it is read."""

from __future__ import annotations

from typing import Any

from seatrial.expectations import Expectation, read_entries

ENTRY = {
    "check": "B04",
    "reason": "it answers 500",
    "link": "https://example.org/1",
    "package": "server",
    "versions": ">=3.10,<3.19",
}


def read_entry(**changes: Any) -> Expectation:
    (entry,) = read_entries([{**ENTRY, **changes}], "a file")
    return entry
