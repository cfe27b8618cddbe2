"""How many predictions were at work at once, read from what copies of a model that tell it have written: see `at_work`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from seatrial_suites.conformance.at_work import MARK

# In front of it, some logs have whose line it is, and when.
_LINE = re.compile(rf"{MARK} (?P<machine>\S+) (?P<token>[0-9a-f]+) (?P<what>entered|left) (?P<at_ns>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One prediction, by the clock of its machine; None: not left yet."""

    machine: str
    entered_ns: int
    left_ns: int | None


def read_predictions(lines: Iterable[str]) -> list[Prediction]:
    """Return the predictions that the lines of a log tell of, in the order in which they were entered.

    One of which only the end is there is left out: lines may come in another order than they were written in.
    """
    entered: dict[tuple[str, str], int] = {}
    left: dict[tuple[str, str], int] = {}
    for found in filter(None, map(_LINE.search, lines)):
        times = entered if found["what"] == "entered" else left
        times[found["machine"], found["token"]] = int(found["at_ns"])
    predictions = [
        Prediction(machine=key[0], entered_ns=at_ns, left_ns=left.get(key)) for key, at_ns in entered.items()
    ]
    return sorted(predictions, key=lambda each: each.entered_ns)


def count_at_once(predictions: Iterable[Prediction]) -> int:
    """Return the most that were at work at one moment. One that is left as another is entered is not at work with it."""
    steps: Counter[int] = Counter()
    for each in predictions:
        steps[each.entered_ns] += 1
        if each.left_ns is not None:
            steps[each.left_ns] -= 1
    most = now = 0
    for at_ns in sorted(steps):
        now += steps[at_ns]
        most = max(most, now)
    return most
