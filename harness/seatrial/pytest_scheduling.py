"""Which worker of pytest-xdist gets which test: all tests of a target go to one, so that it is deployed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def make_scheduler(config: pytest.Config, log: Any, targets: Sequence[str]) -> Any:
    """Return a scheduler that keeps a target's tests together, by the target's name in the test's id.

    xdist's own `loadgroup` reads a suffix that it writes to the id, which pytest 9.2 ignores (xdist 3.8.0); without the
    suffix each test is a group of its own, and every worker deploys every target.
    """
    from xdist.scheduler import LoadGroupScheduling

    class TargetScheduling(LoadGroupScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            return find_group(nodeid, targets) or str(super()._split_scope(nodeid))

    return TargetScheduling(config, log)


def find_group(nodeid: str, targets: Sequence[str]) -> str:
    """Return the target that a parametrised test's id names, `test_x[docker-3]`; empty when it names none."""
    _, bracket, rest = nodeid.partition("[")
    parameters = rest.rpartition("]")[0]
    if not bracket:
        return ""
    named = [name for name in targets if f"-{name}-" in f"-{parameters}-"]
    return max(named, key=len, default="")
