"""Ranked times: every request has a place, and those that were not answered right the last ones."""

from __future__ import annotations

import numpy as np

from seatrial.load.quantiles import FOREVER_NS
from seatrial.load.ranking import rank_requests, rank_so_far, rank_times
from seatrial.load.samples import SAMPLE, Outcome, Samples

START_NS = 7_000_000_000


def make_samples(records: list[tuple[int, int, Outcome]], phase: int = 0) -> Samples:
    """Of (due, took, outcome), the times in nanoseconds after the start."""
    samples = np.zeros(len(records), SAMPLE)
    for sample, (due, took, outcome) in zip(samples, records, strict=True):
        sample["intended_ns"] = START_NS + due
        sample["last_ns"] = START_NS + due + took
        sample["outcome"] = outcome
        sample["phase"] = phase
    return samples


def put_in_order(samples: Samples) -> list[int]:
    """Return the ranked times of all requests by their places in the order of the sends."""
    placed = [
        pair
        for times, places in rank_requests(samples).number(1)
        for pair in zip(places.tolist(), times.tolist(), strict=True)
    ]
    assert sorted(place for place, _ in placed) == list(range(rank_requests(samples).count))
    return [time for _, time in sorted(placed)]


NONE = np.empty(0, np.int64)


def test_all_that_is_not_a_right_answer_ranks_last_and_the_order_is_that_of_the_sends() -> None:
    bad = [each for each in Outcome if each is not Outcome.ANSWERED]
    records = [(100 * place, 5, outcome) for place, outcome in enumerate([*bad, Outcome.ANSWERED])]
    samples = np.concatenate([make_samples(records[::-1]), make_samples([(3, 1, Outcome.ANSWERED)], phase=1)])

    assert put_in_order(samples) == [FOREVER_NS] * len(bad) + [5]


def test_so_far_those_that_are_pending_have_their_places() -> None:
    due_ns = START_NS + np.array([0, 10, 10, 20, 30, 40, 50])
    samples = make_samples(
        [
            (20, 2, Outcome.ANSWERED),
            (10, 15, Outcome.ANSWERED),
            (0, 30, Outcome.REFUSED),
            (40, 1, Outcome.ANSWERED),
            (50, 1, Outcome.ANSWERED),
        ]
    )

    times = rank_so_far(
        samples["intended_ns"], rank_times(samples), due_ns, until_ns=START_NS + 45, seen_ns=START_NS + 60
    )

    assert list(times.most) == [FOREVER_NS, 15, FOREVER_NS, 2, FOREVER_NS, 1]
    assert list(times.least) == [FOREVER_NS, 15, 50, 2, 30, 1], (
        "a pending one has been so for a while, and has not failed"
    )


def test_so_far_of_all_is_what_it_is_in_the_end() -> None:
    rng = np.random.default_rng(1)
    due = np.sort(rng.integers(0, 2000, 1000))
    samples = make_samples([(int(each), int(rng.integers(1, 10**6)), Outcome.ANSWERED) for each in due])
    samples = rng.permutation(samples)

    end_ns = START_NS + 10**9
    so_far = rank_so_far(samples["intended_ns"], rank_times(samples), START_NS + due, until_ns=end_ns, seen_ns=end_ns)

    # Of those due at the same nanosecond the order is that of the records.
    assert list(so_far.least) == list(so_far.most) == put_in_order(samples)


def test_of_nothing_there_are_no_times() -> None:
    assert put_in_order(np.empty(0, SAMPLE)) == []
    assert len(rank_so_far(NONE, NONE, np.empty(0, np.int64), until_ns=1, seen_ns=1).least) == 0
    pending = rank_so_far(NONE, NONE, np.array([5]), until_ns=6, seen_ns=8)
    assert (list(pending.least), list(pending.most)) == ([3], [FOREVER_NS])
