"""Load and attacks go to this machine, and elsewhere only where the host is named."""

from __future__ import annotations

import pytest

from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.reach import choose_address, choose_endpoint_address


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("127.9.9.9", "127.9.9.9"), ("::1", "::1"), ("0.0.0.0", "0.0.0.0")],
)
def test_this_machine_may_be_reached(host: str, address: str) -> None:
    assert choose_address(host, 80, allowed=(), what="load") == address


def test_another_one_may_when_it_is_named() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 is not this machine, and an attack goes to loopback") as caught:
        choose_address("192.0.2.1", 80, allowed=("192.0.2.2",), what="an attack")
    assert "--allow-remote 192.0.2.1" in caught.value.fix
    assert choose_address("192.0.2.1", 80, allowed=("192.0.2.1",), what="an attack") == "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "reached"),
    [("unix:/tmp/socket", "/tmp/socket"), ("http://127.0.0.1:8080", "127.0.0.1"), ("https://127.0.0.1", "127.0.0.1")],
)
def test_an_endpoint_is_reached_at_its_address(address: str, reached: str) -> None:
    assert (
        choose_endpoint_address(Endpoint(address=address, wire="v2", path="loopback"), allowed=(), what="load")
        == reached
    )


def test_an_endpoint_of_another_machine_is_not() -> None:
    with pytest.raises(UsageError):
        choose_endpoint_address(Endpoint(address="http://192.0.2.1", wire="v2", path="remote"), allowed=(), what="load")
