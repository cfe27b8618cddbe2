"""The matrix of checks and targets: a row for each check, in the groups of their ids, a cell for each target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from seatrial.checks import STATUS_MEANINGS, name_group, sort_by_group
from seatrial.records import CheckRecord, CheckStatus, RunResult
from seatrial_reports.text import join_lines

_SENTENCE_LIMIT = 240
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
# Of several results of a check on a target, as a test of the user's with parameters has, the first of these is shown.
_WORST_FIRST: tuple[CheckStatus, ...] = (
    "fail",
    "error",
    "invalid",
    "expected-failure",
    "not-run",
    "pass",
    "unsupported",
)
NO_RESULT = "no result of this check was recorded on this target"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """A check on a target.

    Args:
        status: empty where there is no result.
        why: the first sentence of what was found.
        anchor: of the evidence in report.html.
    """

    status: str
    why: str
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """A check: a cell for each target of the trial, in its order."""

    id: str
    title: str
    level: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixGroup:
    """Checks of one letter."""

    name: str
    rows: tuple[MatrixRow, ...]


def list_groups(run: RunResult) -> list[MatrixGroup]:
    """Return the matrix of a trial; empty when no check has a result."""
    first: dict[str, CheckRecord] = {}
    for result in run.targets.values():
        for check in result.checks:
            first.setdefault(check.id, check)
    found = [dict(_find_cells(number, result.checks)) for number, result in enumerate(run.targets.values(), 1)]
    none = MatrixCell(status="", why=NO_RESULT)
    rows = [
        MatrixRow(
            id=check_id,
            title=first[check_id].title,
            level=first[check_id].level,
            cells=tuple(cells.get(check_id, none) for cells in found),
        )
        for check_id in sort_by_group(first)
    ]
    return [
        MatrixGroup(name=name, rows=tuple(members)) for name, members in groupby(rows, lambda row: name_group(row.id))
    ]


def list_meanings(groups: list[MatrixGroup]) -> dict[str, str]:
    """Return what the statuses that stand in a matrix mean."""
    shown = {cell.status for group in groups for row in group.rows for cell in row.cells}
    return {status: meaning for status, meaning in STATUS_MEANINGS.items() if status in shown}


def _find_cells(number: int, checks: tuple[CheckRecord, ...]) -> Iterator[tuple[str, MatrixCell]]:
    """Yield a target's cells by check, the one to be shown last; anchors are those that report.html gives its checks."""
    places = list(enumerate(checks, 1))
    places.sort(key=lambda place: -_WORST_FIRST.index(place[1].status))
    for place, check in places:
        why = say_first(check.message) or STATUS_MEANINGS[check.status]
        yield check.id, MatrixCell(status=check.status, why=why, anchor=f"check-{number}-{place}")


def say_first(message: str) -> str:
    """Return the first sentence of a message, on one line."""
    return join_lines(_SENTENCE_END.split(message.strip(), maxsplit=1)[0], _SENTENCE_LIMIT)
