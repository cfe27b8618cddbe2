"""What a pytest item is to a trial: which check, of which target."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.checks import MARKER, Check
from seatrial.suite_checks import is_of_suites

# Fixtures that take a timed window themselves.
_MEASURING = frozenset({"seatrial_load", "seatrial_capacity", "seatrial_floor"})


def find_check(item: Any) -> Check | None:
    """Return the check that a test is marked as; None for a user's own test without a mark."""
    marker = item.get_closest_marker(MARKER)
    return marker.args[0] if marker is not None else None


def name_target(item: Any) -> str:
    """Return the target that a test is asked of; empty where it is asked of none."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("seatrial_target", "")) if callspec is not None else ""


def tell_check(item: Any) -> Check:
    """Return a test as a check: its mark, or of a user's own its name as the id and its first sentence as the title."""
    marked = find_check(item)
    if marked is not None:
        return marked
    name = getattr(item, "originalname", None) or item.name
    about = (getattr(item.obj, "__doc__", None) or name).strip().splitlines()[0] if hasattr(item, "obj") else name
    return Check(id=name, title=about, level="MUST", sentence=about, source=item.nodeid.partition("[")[0])


def measures(item: Any) -> bool:
    """Whether a test takes a timed window, in which nothing else is asked."""
    return not _MEASURING.isdisjoint(getattr(item, "fixturenames", ()))


def is_ours(item: Any) -> bool:
    """Whether a test is one of our suites, also where a user's module imports it."""
    return is_of_suites(getattr(getattr(item, "function", None), "__module__", None) or "")


def list_marks(item: pytest.Item) -> frozenset[str]:
    """Return the names of all marks of a test, its module's too."""
    return frozenset(mark.name for mark in item.iter_markers())
