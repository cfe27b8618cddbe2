"""What the target on trial claims, with the settings that it has here."""

from __future__ import annotations

import pytest

from seatrial.plugin import find_session
from seatrial.registry import find_target
from seatrial.target import claim_capabilities


def read_claims(request: pytest.FixtureRequest, name: str) -> frozenset[str]:
    """Return the capabilities that the target of this name claims."""
    target = find_target(name)
    return claim_capabilities(target, find_session(request.config).settings.for_target(target))
