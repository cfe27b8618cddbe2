"""What samples come to, in a form that adds up: times by series in histograms, requests by outcome and by status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.load.histogram import Histogram
from seatrial.load.lateness import measure_lags
from seatrial.load.quantiles import Times
from seatrial.load.ranking import Begin, is_ranked, rank_times
from seatrial.load.samples import NEVER, SUCCESSES, Outcome, Samples

_ENDLESS: Final = (*SUCCESSES, int(Outcome.CENSORED), int(Outcome.UNSENT))


class TallyData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tally as it goes over a wire."""

    series: dict[str, str]
    outcomes: dict[int, int]
    statuses: dict[int, int]


@dataclass(slots=True, kw_only=True, eq=False)
class Tally:
    """Adds up the samples of the timed window; those of the warm-up are left out. Figures are those of `analysis.measure`.

    Requests that failed are beyond, in the series of response and service times.
    """

    series: dict[str, Histogram] = field(default_factory=lambda: {name: Histogram() for name in SERIES})
    outcomes: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """How many requests there are."""
        return self.outcomes.total()

    @property
    def failures(self) -> int:
        """How many of them were not answered right."""
        return self.requests - sum(self.outcomes[outcome] for outcome in SUCCESSES)

    def add(self, samples: Samples) -> None:
        """Add samples, of any phase."""
        timed = samples[samples["phase"] == 0]
        for name, read in SERIES.items():
            self.series[name].add(read(timed))
        for counter, column in ((self.outcomes, "outcome"), (self.statuses, "status")):
            values, counts = np.unique(timed[column], return_counts=True)
            counter.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def merge(self, other: Tally) -> None:
        """Add another one: exact, in any order."""
        for name, histogram in self.series.items():
            histogram.merge(other.series[name])
        self.outcomes.update(other.outcomes)
        self.statuses.update(other.statuses)

    def subtract(self, earlier: Tally) -> Tally:
        """Return what came since an earlier state of this one."""
        return Tally(
            series={name: histogram.subtract(earlier.series[name]) for name, histogram in self.series.items()},
            outcomes=self.outcomes - earlier.outcomes,
            statuses=self.statuses - earlier.statuses,
        )

    def copy(self) -> Tally:
        """Return one that holds the same, and changes by itself."""
        return Tally(
            series={name: histogram.copy() for name, histogram in self.series.items()},
            outcomes=self.outcomes.copy(),
            statuses=self.statuses.copy(),
        )

    def encode(self) -> TallyData:
        """Return it for a wire; equal ones encode equally."""
        return TallyData(
            series={name: histogram.encode() for name, histogram in self.series.items()},
            outcomes=dict(sorted(self.outcomes.items())),
            statuses=dict(sorted(self.statuses.items())),
        )

    @classmethod
    def decode(cls, data: TallyData) -> Self:
        """Return what was encoded. Raises ValueError when a histogram is none, KeyError when one is missing."""
        return cls(
            series={name: Histogram.decode(data.series[name]) for name in SERIES},
            outcomes=Counter(data.outcomes),
            statuses=Counter(data.statuses),
        )


def _read_response(timed: Samples) -> Times:
    return _read_ranked(timed, "intended_ns")


def _read_service(timed: Samples) -> Times:
    return _read_ranked(timed, "sent_ns")


def _read_ranked(timed: Samples, begin: Begin) -> Times:
    # A time is an eighth of a record: what is left out is left out of the times.
    return rank_times(timed, begin)[is_ranked(timed)]


def _read_failure(timed: Samples) -> Times:
    """Return the times of failures that ended at a time of their own: not of those still pending, or never begun."""
    failed = timed[~np.isin(timed["outcome"], _ENDLESS)]
    times: Times = failed["last_ns"] - failed["intended_ns"]
    return times


def _read_connect(timed: Samples) -> Times:
    times: npt.NDArray[np.int64] = timed["connect_ns"][timed["connect_ns"] != NEVER]
    return times


SERIES: Final[dict[str, Callable[[Samples], Times]]] = {
    "response": _read_response,
    "service": _read_service,
    "failure": _read_failure,
    "connect": _read_connect,
    "lag": measure_lags,
}
"""Name of each series, and its times of samples of the timed window, nanoseconds."""
