"""What lives or fails wrong, and what is right over any wire, trips the checks that it says, and no other."""

from __future__ import annotations

from collections.abc import Callable

FAMILIES = ("right", "life", "parallel", "rollout", "observed", "faults")


def test_a_specimen_trips_its_checks_and_no_other(assert_trips: Callable[[str], None], specimen: str) -> None:
    assert_trips(specimen)
