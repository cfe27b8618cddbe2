"""What tests of the owner share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def trial_id(request: pytest.FixtureRequest) -> str:
    """An id that no trial of another test has."""
    return f"t{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"
