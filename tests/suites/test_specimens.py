"""Every HTTP specimen trips the checks that it says, and no other; the right servers trip none.

A family is asked in one trial, so its tests belong to one worker: each is a class of its own, for `--dist loadscope`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from seatrial_fixtures.wrong.catalogue import load_families

pytestmark = pytest.mark.specimen
NOT_HERE = {"memory": pytest.mark.skipif(sys.platform != "linux", reason="no other kernel limits what a process has")}


class Specimens:
    def test_a_specimen_trips_its_checks_and_no_other(self, assert_trips: Callable[[str], None], specimen: str) -> None:
        assert_trips(specimen)


for family in load_families():
    name = f"TestThe{family.title().replace('-', '')}Family"
    marks = [NOT_HERE[family]] if family in NOT_HERE else []
    globals()[name] = type(name, (Specimens,), {"family": family, "pytestmark": marks, "__module__": __name__})
