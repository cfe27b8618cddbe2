"""Where a deployment may listen, red and green on made listeners."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from seatrial.looking import Listener, Side
from seatrial_suites.conformance.ports import Declared, describe_listener, is_loopback, judge_listeners

PROCESS: Declared = {"host": frozenset({8080})}
CONTAINER: Declared = {"host": frozenset({20000}), "inside": frozenset({8080})}
SOCKET: Declared = {"host": frozenset()}
SERVING = (Listener(address="127.0.0.1", port=20000, side="host"), Listener(address="::", port=8080, side="inside"))


def at(address: str, port: int = 8080, side: Side = "host", owner: str = "") -> Listener:
    return Listener(address=address, port=port, side=side, owner=owner)


@pytest.mark.parametrize(
    ("listeners", "declared"),
    [
        ([at("127.0.0.1")], PROCESS),
        ([at("::1"), at("127.0.0.1")], PROCESS),
        ([at("::ffff:127.0.0.1")], PROCESS),
        (SERVING, CONTAINER),
        ([at("0.0.0.0", side="inside")], {"inside": frozenset({8080, 8081})}),
        ([], SOCKET),
    ],
)
def test_what_is_asked_for_is_right(listeners: Sequence[Listener], declared: Declared) -> None:
    assert set(judge_listeners(listeners, declared).values()) == {""}


@pytest.mark.parametrize(
    ("listeners", "declared", "case", "words"),
    [
        ([at("0.0.0.0")], PROCESS, "addresses", "can reach 0.0.0.0 port 8080 on this machine"),
        ([at("::")], PROCESS, "addresses", "can reach :: port 8080"),
        ([at("192.0.2.7")], PROCESS, "addresses", "can reach 192.0.2.7"),
        ([at("::ffff:192.0.2.7")], PROCESS, "addresses", "can reach ::ffff:192.0.2.7"),
        ([at("fe80::1%eth0")], PROCESS, "addresses", "can reach fe80::1%eth0"),
        (
            [at("127.0.0.1"), at("127.0.0.1", 5678, owner="python, pid 7")],
            PROCESS,
            "ports",
            "5678 on this machine (python",
        ),
        ([at("127.0.0.1", 5678)], SOCKET, "ports", "it may listen at no port, and not at 127.0.0.1 port 5678"),
        ([*SERVING, at("127.0.0.1", 5678, "inside")], CONTAINER, "ports", "5678 in its own network"),
        # What is declared on one side is not on the other.
        ([*SERVING, at("127.0.0.1", 8080)], CONTAINER, "ports", "not at 127.0.0.1 port 8080 on this machine"),
        ([at("0.0.0.0", 20000), SERVING[1]], CONTAINER, "addresses", "can reach 0.0.0.0 port 20000"),
        ([], PROCESS, "its own port", "nothing of it listens at port 8080 on this machine"),
        (SERVING[:1], CONTAINER, "its own port", "nothing of it listens at port 8080 in its own network"),
    ],
)
def test_what_is_not_asked_for_is_named(
    listeners: Sequence[Listener], declared: Declared, case: str, words: str
) -> None:
    judged = judge_listeners(listeners, declared)
    assert words in judged[case]
    assert [name for name, message in judged.items() if message] == [case]


def test_all_extra_listeners_are_named() -> None:
    extra = [at("127.0.0.1", port) for port in (5678, 9090)]
    message = judge_listeners([at("127.0.0.1"), *extra], PROCESS)["ports"]
    assert all(describe_listener(each) in message for each in extra)


def test_loopback_is_a_whole_network() -> None:
    assert is_loopback("127.0.0.53")
    assert not is_loopback("10.0.0.1")
