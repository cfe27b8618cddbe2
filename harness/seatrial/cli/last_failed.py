"""`seatrial run --last-failed`: what failed when it was last asked is asked again, on the targets on which it failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from seatrial.records import CheckRecord, PlanRecord
from seatrial.trial.directory import TrialDirectory
from seatrial.trial.equality import EQUALITY, GOLDEN

if TYPE_CHECKING:
    from seatrial.cli.run import Progress

_FAILED: Final = frozenset({"fail", "error"})


class LastFailed:
    """A pytest plug-in that leaves out everything else.

    Where nothing failed, or none of it is a check of the chosen targets and suites, all is asked, as by pytest's own option.
    """

    def __init__(self, out: Path, say: Progress) -> None:
        self._say = say
        self._last = find_last(out)
        self._failed = list_failed(out)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what did not fail."""
        from seatrial.pytest_items import name_target, tell_check

        again = [item for item in items if (name_target(item), tell_check(item).id) in self._failed]
        if not again:
            self._say(f"{self._explain()}: everything is asked")
            return
        self._say(f"asked again is what failed when it was last asked: {', '.join(item.name for item in again)}")
        config.hook.pytest_deselected(items=[item for item in items if item not in set(again)])
        items[:] = again

    def _explain(self) -> str:
        if self._last is None:
            return "there is no last trial that could be read"
        if not self._failed:
            return f"nothing failed when it was last asked (the last trial is {self._last.name})"
        return "nothing that failed when it was last asked is among the chosen targets and checks"


def find_last(out: Path) -> Path | None:
    """Return the directory of the last trial that was written there, whole or broken off; None where there is none."""
    return next(iter(_list_trials(out)), None)


def list_failed(out: Path) -> set[tuple[str, str]]:
    """Return the checks that failed or broke when they were last asked, as target and id; none where no records can be read.

    A trial that was broken off, or asked only some checks, says nothing of the others: what they did in the trial before it
    stands, back to the last that asked all it had planned. Where answers that are right each for itself are not the same, no test
    failed: what is asked again is where they come from.
    """
    last: dict[tuple[str, str], CheckRecord] = {}
    for directory in _list_trials(out):
        try:
            records = list(TrialDirectory(directory).read_records())
        except (OSError, KeyError, msgspec.DecodeError):
            continue
        checks = [record for record in records if isinstance(record, CheckRecord)]
        # Of several tests of one check, one that failed is enough.
        for record in sorted(checks, key=lambda each: each.status not in _FAILED):
            last.setdefault((record.target, record.id), record)
        asked = {(record.target, record.id) for record in checks}
        planned = {(each.target, name) for each in records if isinstance(each, PlanRecord) for name in each.checks}
        if planned and planned <= asked:
            break
    red = {place: record for place, record in last.items() if record.status in _FAILED}
    failed = {place for place in red if place[1] != EQUALITY.id}
    for (target, check_id), record in red.items():
        if check_id == EQUALITY.id and (target, GOLDEN) not in red:
            failed |= {(target, GOLDEN), (str(record.facts.get("compared_with")), GOLDEN)}
    return failed


def _list_trials(out: Path) -> list[Path]:
    """The directories of trials, the last one first: ids of trials sort by time."""
    return sorted((path.parent for path in out.expanduser().glob("*/records.jsonl")), reverse=True)
