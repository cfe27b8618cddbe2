"""How many instances there are, before more are asked for: those that are about to go are not among them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial_suites.conformance.test_rolling import count_settled


class Going:
    """A deployment of which instances go, one look after the other, as after an update."""

    def __init__(self, *counts: int) -> None:
        self._counts: Iterator[int] = iter(counts)
        self._count = 0
        self.looks = 0

    def count_instances(self) -> int:
        self.looks += 1
        self._count = next(self._counts, self._count)
        return self._count

    def scale(self, replicas: int) -> None:
        raise AssertionError(f"nobody asked for {replicas}")


@pytest.mark.parametrize(("counts", "settled"), [((3, 3, 2, 2, 1), 1), ((3, 2), 2), ((2,), 2)])
def test_what_is_about_to_go_is_not_counted(counts: tuple[int, ...], settled: int) -> None:
    assert count_settled(Going(*counts), settled_s=0.5) == settled


def test_one_that_is_alone_is_not_waited_for() -> None:
    deployment = Going(1)

    assert count_settled(deployment, settled_s=600.0) == 1
    assert deployment.looks == 1
