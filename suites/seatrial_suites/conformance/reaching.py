"""Which deployments may be attacked or strained: those of this machine, and hosts that the user named."""

from __future__ import annotations

import pytest

from seatrial.checks import NotRunError
from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.plugin import find_session
from seatrial.reach import choose_endpoint_address

MALFORMED, ATTACK = "what is malformed", "an attack"


def find_host(request: pytest.FixtureRequest, endpoint: Endpoint, what: str, *, strictly: bool = False) -> str:
    """Return the address to connect to. Raises NotRunError for a host that `what` may not go to.

    `strictly` is for who connects by the host's name as well: then all of its addresses count.
    """
    allowed = find_session(request.config).settings.general.allow_remote
    try:
        return choose_endpoint_address(endpoint, allowed=allowed, what=what, strictly=strictly)
    except UsageError as error:
        raise NotRunError(error.message, fix=error.fix) from error
