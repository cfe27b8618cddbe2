"""Histories in a trial's directory as reports tell them: a line a file, with the reason where one cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from seatrial.history import History, read_history
from seatrial.records import RunResult
from seatrial_reports.history_bars import find_kind
from seatrial_reports.history_picture import Picture, draw_history
from seatrial_reports.text import join_lines

FOLDER = "histories"
_NAME_LIMIT = 120
_TROUBLE_LIMIT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The longest time in which no right answer came, in seconds of the history."""

    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """A file; `trouble` says why the rest is empty.

    Args:
        target: what was asked.
        check: id of the check that left it.
        title: of the check; empty when no check of the trial names the file.
        name: of the file, below the trial's directory.
        link: the name as a relative address.
        trouble: why it cannot be told; empty when it can.
        outcomes: how many requests had which, as the check's facts count them.
        endings: how many ended how.
        silence: None when nothing was asked.
        picture: None when none was wanted.
    """

    target: str
    check: str
    title: str
    name: str
    link: str
    trouble: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    silence: Silence | None = None
    picture: Picture | None = None


def list_histories(run: RunResult, directory: Path, *, drawn: bool) -> Iterator[HistoryLine]:
    """Yield the histories that a trial's directory holds, by target and check; never raises for what a file holds."""
    files = [(path, *_find_check(run, path)) for path in sorted((directory / FOLDER).glob("*.jsonl"))]
    places = {target: place for place, target in enumerate(run.targets)}
    files.sort(key=lambda each: (places.get(each[1], len(places)), each[1], each[2]))
    for path, target, check, title in files:
        yield _describe(path, target, check, title, drawn=drawn)


def find_silence(history: History) -> Silence | None:
    """Return the longest time from one right answer to the next, or from the first question on, or to the last end."""
    if not history.requests:
        return None
    right = sorted(request.end_s for request in history.requests if find_kind(request) == "ok")
    begin_s = min(request.invoke_s for request in history.requests)
    moments = [begin_s, *right, max(request.end_s for request in history.requests)]
    silences = [Silence(begin_s=first, end_s=then) for first, then in pairwise(moments)]
    return max(silences, key=lambda each: each.length_s)


def _describe(path: Path, target: str, check: str, title: str, *, drawn: bool) -> HistoryLine:
    name = f"{FOLDER}/{path.name}"
    link = quote(name, errors="surrogateescape")
    line = HistoryLine(target=target, check=check, title=title, name=join_lines(name, _NAME_LIMIT), link=link)
    try:
        history = read_history(path.read_bytes())
        return replace(
            line,
            outcomes=history.count(),
            endings=dict(Counter(request.ending for request in history.requests).most_common()),
            silence=find_silence(history),
            picture=draw_history(history) if drawn else None,
        )
    except Exception as error:  # noqa: BLE001 - whatever a file holds must not lose the report
        return replace(line, trouble=join_lines(str(error) or repr(error), _TROUBLE_LIMIT))


def _find_check(run: RunResult, path: Path) -> tuple[str, str, str]:
    """Return target, id and title of the check that names the file in its facts, else what the file's own name says."""
    for target, result in run.targets.items():
        for check in result.checks:
            if check.facts.get("history") == f"{FOLDER}/{path.name}":
                return target, check.id, check.title
    target, _, check_id = path.stem.rpartition("-")
    return target or path.stem, check_id if target else "", ""
