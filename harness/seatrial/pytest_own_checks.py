"""A user's own checks beside those of our suites: none passes for one of ours, and one in the place of ours says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from seatrial.errors import UsageError
from seatrial.pytest_items import find_check, is_ours, name_target
from seatrial.suggestion import suggest
from seatrial.suite_checks import list_suite_checks
from seatrial.trial.equality import EQUALITY


def refuse_taken_ids(items: Iterable[pytest.Item]) -> None:
    """Raise UsageError where a user's check has an id of ours, or replaces one that there is not."""
    own = [(item, check) for item in items if (check := find_check(item)) is not None and not is_ours(item)]
    if not own:
        return
    ours = {EQUALITY.id, *(each.check.id for each in list_suite_checks())}
    for item, check in own:
        where = item.nodeid.partition("[")[0]
        if check.id in ours:
            raise UsageError(
                f"{where}: {check.id} is a check of seatrial's, and this test is another",
                fix=f'give it an id of its own, and replaces="{check.id}" if it is to be asked in place of {check.id}',
            )
        if check.replaces and check.replaces not in ours - {EQUALITY.id}:
            raise UsageError(
                f"{where}: {check.id} replaces {check.replaces!r}, which is no check of our suites."
                f"{suggest(check.replaces, ours)}"
            )


def leave_out_replaced(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests without those of ours that a user's own are asked in place of, on the same target."""
    replaced = {
        (name_target(item), check.replaces)
        for item in items
        if (check := find_check(item)) is not None and check.replaces
    }
    return [
        item
        for item in items
        if (check := find_check(item)) is None or not is_ours(item) or (name_target(item), check.id) not in replaced
    ]
