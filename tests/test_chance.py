"""The error rate of all random tests together is what each of them takes."""

from __future__ import annotations

import math

import pytest

from chance import ERROR_RATE, LEVEL, TESTS, find_fewest, find_two_sided, is_likely


def test_all_together_have_one_error_rate() -> None:
    assert ERROR_RATE == 1e-4
    assert sum(TESTS.values()) * LEVEL == pytest.approx(ERROR_RATE)
    assert is_likely(2 * LEVEL)
    assert not is_likely(LEVEL / 2)


@pytest.mark.parametrize("share", [0.93, 0.99])
def test_fewer_than_the_fewest_are_seldom(share: float) -> None:
    def find_probability(count: int) -> float:
        return sum(math.comb(150, each) * share**each * (1 - share) ** (150 - each) for each in range(count))

    fewest = find_fewest(150, share)

    assert find_probability(fewest) <= LEVEL < find_probability(fewest + 1)


def test_the_less_likely_tail_counts_twice() -> None:
    assert find_two_sided(0.01, 0.99) == 0.02
    assert find_two_sided(0.6, 0.5) == 1.0
