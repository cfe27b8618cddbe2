"""What a session must ask to have asked everything: known before anything is left out of it, by whomever and however."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import pytest

from seatrial.checks import Check
from seatrial.pytest_items import find_check, list_marks, name_target, tell_check
from seatrial.records import PlanRecord
from seatrial.suite_checks import is_of_suites, list_suite_checks

IsAsked: TypeAlias = Callable[[Check, frozenset[str]], bool]
"""Whether the chosen profile and suites ask a check whose test has these marks."""


class Plan:
    """Gathers what was collected. As soon as one of our suites is among it, all of their checks count."""

    def __init__(self) -> None:
        self._collected: dict[str, list[tuple[Check, frozenset[str] | None]]] = defaultdict(list)
        self._asks_suites = False

    @property
    def ids(self) -> set[str]:
        """The ids of everything that was collected."""
        return {check.id for each in self._collected.values() for check, _ in each}

    def add(self, item: pytest.Item) -> None:
        """Take a test that was collected, whatever becomes of it."""
        target = name_target(item)
        if not target:
            return
        # A test that is no check by its mark is in every profile.
        marks = list_marks(item) if find_check(item) is not None else None
        self._collected[target].append((tell_check(item), marks))
        module = getattr(item, "module", None)
        self._asks_suites = self._asks_suites or (module is not None and is_of_suites(module.__name__))

    def tell(self, targets: Sequence[str], is_asked: IsAsked) -> Iterator[PlanRecord]:
        """Yield what each target is to be asked; an id stands as often as there are tests of it."""
        suites: Counter[str] = Counter()
        if self._asks_suites:
            suites.update({each.check.id for each in list_suite_checks() if is_asked(each.check, each.marks)})
        for target in targets:
            collected = self._collected.get(target, ())
            planned = suites | Counter(
                check.id for check, marks in collected if marks is None or is_asked(check, marks)
            )
            if planned:
                yield PlanRecord(target=target, checks=tuple(sorted(planned.elements())))
