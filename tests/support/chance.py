"""How often the load engine's random tests may fail though nothing is wrong: one error rate for all together, dealt out evenly.

A random test holds what was drawn against the law that it was drawn by, or its share against a probability. Seeds are fixed, so
that one which passes goes on passing; the rate says how far off a draw must be before it is called wrong. Tests of what is said
of each draw of a fixed list (times are level, a search finds the capacity) allow chance nothing, and are none.
"""

from __future__ import annotations

from typing import Final

from scipy import stats

ERROR_RATE: Final = 1e-4
"""Of all together, by Bonferroni's inequality, whatever they have in common."""
TESTS: Final = {
    "arrivals": 26,
    "early stopping": 22,
    "merged intervals": 24,
    "interval of a median": 1,
    "services of specimens": 3,
    "samples that are held": 1,
    "the table's own Poisson": 1,
}
"""Comparisons of each group."""
LEVEL: Final = ERROR_RATE / sum(TESTS.values())
"""Of each comparison."""


def is_likely(p_value: float) -> bool:
    """Whether what was drawn may be by its law."""
    return p_value > LEVEL


def find_two_sided(below: float, above: float) -> float:
    """Return the p-value of a statistic on either side: twice the less likely one of its two tails, which include it."""
    return min(1.0, 2 * min(below, above))


def find_fewest(runs: int, share: float) -> int:
    """Return the number that so many runs fall below with a probability of at most `LEVEL`, each a success by `share`."""
    return int(stats.binom.ppf(LEVEL, runs, share))
