"""The highest rate that keeps objectives: doubling, then bisection, on runs that somebody else makes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from seatrial.errors import UsageError
from seatrial.load.repeating import repeat_while_invalid
from seatrial.load.result import Judgement, LoadResult

Kept = Literal["kept", "missed", "invalid", "undecided"]
_STATUSES: Final[dict[str, Kept]] = {"met": "kept", "missed": "missed", "undecided": "undecided"}
CAPACITY_SCHEMA: Final = "seatrial.capacity/1"
FINEST: Final = 0.001
MOST_TO_AGREE: Final = 3
"""Measurements of one rate, before a majority is no longer sought."""

Ending = Literal[
    "found", "never-kept", "never-missed", "client-limit", "undecided", "too-many-runs", "out-of-time", "interrupted"
]


class Rung(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the search."""

    rate: Annotated[float, Meta(description="requests a second")]
    status: Annotated[
        Kept, Meta(description="kept, missed; invalid: not measured; undecided: too few requests to tell")
    ]
    repeat: Annotated[int, Meta(description="0, or which repeat of an invalid run this is")] = 0
    confirms: Annotated[bool, Meta(description="the rate had been measured before, and is measured once more")] = False
    judgement: Judgement
    warm_up_s: Annotated[float, Meta(description="how long the same load was put on before the run's window")] = 0.0
    stationary: Annotated[
        bool | None, Meta(description="response times were level before the window; null when nobody looked")
    ] = None
    warm_up: Annotated[
        str, Meta(description="what was found of the warm-up, in words; empty when its length was given")
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run at a rate came to; of its warm-up, what a `Rung` tells."""

    judgement: Judgement
    warm_up_s: float = 0.0
    stationary: bool | None = None
    warm_up: str = ""

    @classmethod
    def read(cls, result: LoadResult) -> Measured:
        """Return what a run came to that was held against objectives."""
        assert result.judgement is not None
        return cls(
            judgement=result.judgement,
            warm_up_s=result.warm_up_s,
            stationary=result.stationary,
            warm_up=result.warm_up,
        )


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a search found: the capacity lies from `highest_kept` to `lowest_missed`."""

    schema: Annotated[str, Meta(description=CAPACITY_SCHEMA)] = CAPACITY_SCHEMA

    highest_kept: Annotated[
        float | None, Meta(description="requests a second, kept once more when confirmed; null when none was")
    ]
    lowest_missed: Annotated[float | None, Meta(description="requests a second; null when none was missed")]
    ended: Annotated[
        Ending,
        Meta(
            description="client-limit: above highest_kept the client or the machine could not measure; "
            "interrupted: there was more to measure"
        ),
    ]
    message: str
    objectives: str
    resolution: Annotated[float, Meta(description="of the interval, relative, when it was found")]
    rungs: Annotated[tuple[Rung, ...], Meta(description="every run, in order")]


def search_capacity(
    measure: Callable[[float], Measured],
    *,
    first_rate: float,
    lowest_rate: float = 1.0,
    highest_rate: float = 1e6,
    resolution: float = 0.05,
    most_runs: int = 60,
    objectives: str = "",
    may_go_on: Callable[[], bool] = lambda: True,
) -> Capacity:
    """Return the highest rate that keeps objectives, as an interval of rates.

    From the first rate it doubles while they are kept and halves while they are not, then bisects (by the geometric mean) until
    the interval is as narrow as `resolution`. One run may err by chance, so the two ends are measured once more each, a third
    time where the two differ, and the majority holds; where that moves an end, the search goes on. An invalid run is tried
    again at most twice; a rate of which no run is valid is the limit of the client. A run that is too short to tell ends it all.

    Args:
        measure: makes an open-loop run at a rate, each with a schedule of its own, as long as the objectives need, and judges
            it. KeyboardInterrupt from it ends the search with what is known by then.
        first_rate: requests a second, where it begins.
        lowest_rate: below it no rate is tried.
        highest_rate: above it none.
        resolution: relative length of the interval.
        most_runs: after so many no other rate is tried.
        objectives: as text, for the record.
        may_go_on: asked before each run but the first; once it says no, the search ends with what it has.

    Raises:
        UsageError: rates that are not in order, a resolution that no run can tell apart.
        KeyboardInterrupt: from `measure`, before anything was known.
    """
    if not 0 < lowest_rate <= first_rate <= highest_rate:
        raise UsageError(
            f"a search from {first_rate:g}/s, between {lowest_rate:g}/s and {highest_rate:g}/s, is none",
            fix="begin with a rate above 0, between the lowest and the highest",
        )
    if not FINEST <= resolution <= 1:
        raise UsageError(f"a resolution of {resolution:g} is not between {FINEST:g} and 1")
    search = _Search(lowest=lowest_rate, highest=highest_rate, resolution=resolution, may_go_on=may_go_on)
    rate: float | None = first_rate
    interrupted = False
    while rate is not None and len(search.rungs) < most_runs and not interrupted and (not search.rungs or may_go_on()):
        try:
            search.measure(measure, rate)
        except KeyboardInterrupt:
            if not search.rungs:
                raise
            interrupted = True
        else:
            rate = None if search.rungs[-1].status == "undecided" else search.choose_next()
    ended, message = search.conclude(most_runs, interrupted=interrupted)
    return Capacity(
        highest_kept=search.low,
        lowest_missed=search.lowest_missed,
        ended=ended,
        message=message,
        objectives=objectives,
        resolution=resolution,
        rungs=tuple(search.rungs),
    )


@dataclass(slots=True, kw_only=True)
class _Search:
    """What was measured so far; where the capacity lies, and what to measure next, follow from that alone."""

    lowest: float
    highest: float
    resolution: float
    may_go_on: Callable[[], bool] = lambda: True
    rungs: list[Rung] = field(default_factory=list)
    _outcomes: dict[float, list[Kept]] = field(default_factory=dict)

    def measure(self, measure: Callable[[float], Measured], rate: float) -> None:
        outcomes = self._outcomes.setdefault(rate, [])
        confirms, before = bool(outcomes), len(self.rungs)

        def make_run() -> Judgement:
            measured = measure(rate)
            judgement = measured.judgement
            rung = Rung(
                rate=rate,
                status=_STATUSES[judgement.status] if judgement.valid else "invalid",
                repeat=len(self.rungs) - before,
                confirms=confirms,
                judgement=judgement,
                warm_up_s=measured.warm_up_s,
                stationary=measured.stationary,
                warm_up=measured.warm_up,
            )
            self.rungs.append(rung)
            return judgement

        repeat_while_invalid(make_run, self._is_enough)
        outcomes.append(self.rungs[-1].status)

    def _is_enough(self, judgement: Judgement) -> bool:
        return judgement.valid or not self.may_go_on()

    @property
    def low(self) -> float | None:
        """The highest rate that is kept, below all that are missed."""
        missed = self.lowest_missed
        kept = self._list_rates("kept")
        return max((rate for rate in kept if missed is None or rate < missed), default=None)

    @property
    def lowest_missed(self) -> float | None:
        """The lowest rate that is missed."""
        return min(self._list_rates("missed"), default=None)

    @property
    def lowest_invalid(self) -> float | None:
        """The lowest rate that could not be measured."""
        return min(self._list_rates("invalid"), default=None)

    def choose_next(self) -> float | None:
        """Return the rate to measure next, None when there is no more to find."""
        for rate in self._outcomes:
            if self._is_open(rate):
                return rate
        low, high = self.low, self._find_high()
        if high is None:
            assert low is not None
            return min(2 * low, self.highest) if low < self.highest else self._confirm(low)
        if low is None:
            return max(high / 2, self.lowest) if high > self.lowest else self._confirm(high)
        if high > (1 + self.resolution) * low:
            return float(f"{math.sqrt(low * high):.6g}")
        return self._confirm(low, high)

    def conclude(self, most_runs: int, *, interrupted: bool) -> tuple[Ending, str]:
        """Return how it ended, as a word and in words."""
        low, missed, invalid = self.low, self.lowest_missed, self.lowest_invalid
        kept = f"kept up to {low:g}/s" if low is not None else "kept at no rate"
        if interrupted:
            return "interrupted", f"{kept}, when the search had made {len(self.rungs)} runs and was interrupted"
        if self.rungs[-1].status == "undecided":
            return "undecided", f"{self._explain(self.rungs[-1].rate)}: longer runs are needed"
        if self.choose_next() is not None:
            if len(self.rungs) >= most_runs:
                return "too-many-runs", f"{kept}, when the search had made {len(self.rungs)} runs and was stopped"
            return "out-of-time", f"{kept}, when the time for the search was over{self._name_rest(missed)}"
        return self._conclude_end(kept, low, missed, invalid)

    def _conclude_end(
        self, kept: str, low: float | None, missed: float | None, invalid: float | None
    ) -> tuple[Ending, str]:
        """Return how a search ended that had nothing left to ask."""
        if invalid is not None and (missed is None or invalid < missed):
            return "client-limit", f"{kept}; invalid above: the client is the limit. {self._explain(invalid)}"
        if missed is None:
            return "never-missed", f"{kept}, the highest rate that was allowed"
        return "found" if low is not None else "never-kept", f"{kept}, missed from there. {self._explain(missed)}"

    def _list_rates(self, status: Kept) -> list[float]:
        return [rate for rate in self._outcomes if self._find_status(rate) == status]

    def _list_measured(self, rate: float) -> list[Kept]:
        return [each for each in self._outcomes[rate] if each != "invalid"]

    def _find_status(self, rate: float) -> Kept:
        measured = self._list_measured(rate)
        if not measured or "undecided" in measured:
            return "undecided" if measured else "invalid"
        return "kept" if 2 * measured.count("kept") > len(measured) else "missed"

    def _is_open(self, rate: float) -> bool:
        """Two runs of it differ, and there was no third, valid or not."""
        measured = self._list_measured(rate)
        return len(measured) == 2 and measured[0] != measured[1] and len(self._outcomes[rate]) <= MOST_TO_AGREE

    def _confirm(self, *ends: float) -> float | None:
        return next((rate for rate in ends if len(self._outcomes[rate]) < 2), None)

    def _find_high(self) -> float | None:
        return min((rate for rate in (self.lowest_missed, self.lowest_invalid) if rate is not None), default=None)

    def _name_rest(self, missed: float | None) -> str:
        return "" if missed is None else f"; missed from {missed:g}/s"

    def _explain(self, rate: float) -> str:
        judgements = [each.judgement.message for each in self.rungs if each.rate == rate]
        return f"At {rate:g}/s: {judgements[-1]}"
