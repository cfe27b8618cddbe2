"""Answers that are wrong, swapped or cached, from a known list."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from load_table.row import Options, Reading


def measure_answers(options: Options) -> Iterator[Reading]:
    """Specimens inject them by the number of the request (`Fault`), and their log says which they were."""
    del options
    is_there = importlib.util.find_spec("seatrial.load.checking") is not None
    yield Reading(
        what="wrong, swapped or cached answers injected from a known list",
        must="found = injected, every run",
        reached="not measured: "
        + (
            "this command does not ask seatrial.load.checking yet"
            if is_there
            else "answers of load runs are not checked yet"
        ),
        met=None,
    )
    yield Reading(
        what="what checking answers costs, closed loop against nginx",
        must="< 5 % of the requests/s",
        reached="not measured: answers of load runs are not checked yet",
        met=None,
    )
