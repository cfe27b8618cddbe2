"""What does wrong when memory runs out trips the check that it says, and no other."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

FAMILIES = ("memory",)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no other kernel limits what a process has")


def test_a_specimen_trips_its_checks_and_no_other(assert_trips: Callable[[str], None], specimen: str) -> None:
    assert_trips(specimen)
