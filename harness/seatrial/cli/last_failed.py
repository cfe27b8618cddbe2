"""`seatrial run --last-failed`: what failed in the last trial is asked again, on the targets on which it failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from seatrial.records import CheckRecord
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
        self._failed = list_failed(self._last) if self._last is not None else set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what did not fail."""
        from seatrial.pytest_items import name_target, tell_check

        again = [item for item in items if (name_target(item), tell_check(item).id) in self._failed]
        if not again:
            self._say(f"{self._explain()}: everything is asked")
            return
        self._say(f"asked again is what failed in the last trial: {', '.join(item.name for item in again)}")
        config.hook.pytest_deselected(items=[item for item in items if item not in set(again)])
        items[:] = again

    def _explain(self) -> str:
        if self._last is None:
            return "there is no last trial that could be read"
        if not self._failed:
            return f"nothing failed in the last trial, {self._last.name}"
        return f"nothing that failed in the last trial, {self._last.name}, is among the chosen targets and checks"


def find_last(out: Path) -> Path | None:
    """Return the directory of the last trial that was written there, whole or broken off; None where there is none."""
    # Ids of trials sort by time.
    return max((path.parent for path in out.expanduser().glob("*/records.jsonl")), default=None)


def list_failed(directory: Path) -> set[tuple[str, str]]:
    """Return the checks of a trial that failed or broke, as target and id; none where its records cannot be read.

    Where answers that are right each for itself are not the same, no test failed: what is asked again is where they come from.
    """
    try:
        records = [record for record in TrialDirectory(directory).read_records() if isinstance(record, CheckRecord)]
    except (OSError, KeyError, msgspec.DecodeError):
        return set()
    red = {(record.target, record.id): record for record in records if record.status in _FAILED}
    failed = {place for place in red if place[1] != EQUALITY.id}
    for (target, check_id), record in red.items():
        if check_id == EQUALITY.id and (target, GOLDEN) not in red:
            failed |= {(target, GOLDEN), (str(record.facts.get("compared_with")), GOLDEN)}
    return failed
