"""What the master knows of a run: who has a share of it, who is ready, what came, who came to an end and who was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from seatrial.load.plan import Progress
from seatrial.load.result import LoadResult, Reason
from seatrial.load.slices import Slices
from seatrial.load.stationarity import WarmUpVerdict
from seatrial.load.swarm.merging import INTERRUPTED, Part, merge_parts
from seatrial.load.swarm.messages import End, Failure, Order, Prepared, Report, split_order
from seatrial.load.swarm.warming import describe_warm_up
from seatrial.load.tally import Tally

WORKER_LOST: Final = "worker-lost"
_NOTHING: Final = Progress(elapsed_s=0.0, sent=0, ended=0, failed=0, in_flight=0)


@dataclass(slots=True, kw_only=True)
class Seat:
    """One worker in a run."""

    order: Order
    prepared: Prepared | None = None
    end: End | None = None
    lost: str = ""
    tally: Tally = field(default_factory=Tally)
    progress: Progress = _NOTHING
    warm_up: WarmUpVerdict | None = None

    @property
    def name(self) -> str:
        """Which of how many."""
        return f"worker {self.order.worker + 1} of {self.order.workers}"

    def has(self, clock: str) -> bool:
        """Whether the worker reads this clock; one that has no name is nobody else's."""
        return bool(clock) and self.prepared is not None and self.prepared.clock == clock

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.end is not None or bool(self.lost)


class Collection:
    """A run over workers that are known by the names that Locust gives them.

    Args:
        order: of all of them.
        workers: their names, in the order in which they have their shares.

    Raises:
        UsageError: the order cannot be shared by so many.
    """

    def __init__(self, order: Order, workers: tuple[str, ...]) -> None:
        self.order = order
        shares = split_order(order, len(workers))
        self.seats: Mapping[str, Seat] = {name: Seat(order=share) for name, share in zip(workers, shares, strict=True)}
        self.begun = False
        self.window_begun = order.warm_up is None

    @property
    def is_prepared(self) -> bool:
        """Whether all wait for the beginning."""
        return all(seat.prepared for seat in self.seats.values())

    @property
    def is_warm(self) -> bool:
        """Whether the warm-up is over on every worker that has not ended."""
        waiting = [seat for seat in self.seats.values() if not seat.is_over]
        return bool(waiting) and all(seat.warm_up is not None and seat.warm_up.over for seat in waiting)

    @property
    def note(self) -> str:
        """How far the warm-up is, in words; empty when nobody looks."""
        return describe_warm_up({seat.name: seat.warm_up for seat in self.seats.values()})

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return all(seat.is_over for seat in self.seats.values())

    @property
    def is_broken(self) -> bool:
        """Whether a worker was lost, or failed: the others need not go on."""
        return any(seat.lost or (seat.end and seat.end.failure) for seat in self.seats.values())

    @property
    def progress(self) -> Progress:
        """How far all are together."""
        each = [seat.progress for seat in self.seats.values()]
        return Progress(
            elapsed_s=max(progress.elapsed_s for progress in each),
            sent=sum(progress.sent for progress in each),
            ended=sum(progress.ended for progress in each),
            failed=sum(progress.failed for progress in each),
            in_flight=sum(progress.in_flight for progress in each),
        )

    @property
    def tally(self) -> Tally:
        """What came until now."""
        tally = Tally()
        for seat in self.seats.values():
            tally.merge(seat.tally)
        return tally

    def take_prepared(self, name: str, prepared: Prepared) -> None:
        """Note that a worker is ready; one without a seat is not of this run."""
        if seat := self.seats.get(name):
            seat.prepared = prepared

    def take_report(self, name: str, report: Report) -> None:
        """Add what came at a worker."""
        if seat := self.seats.get(name):
            seat.tally.merge(Tally.decode(report.tally))
            seat.progress = report.progress or seat.progress
            seat.warm_up = report.warm_up or seat.warm_up

    def take_end(self, name: str, end: End) -> None:
        """Note that a worker came to an end; one that was given up stays so."""
        if (seat := self.seats.get(name)) and not seat.lost:
            seat.end = end

    def lose(self, name: str, why: str) -> None:
        """Give a worker up, unless it came to an end before."""
        seat = self.seats[name]
        if not seat.is_over:
            seat.lost = why

    def conclude(self) -> LoadResult | Failure:
        """Return the result; where nothing was sent because no worker could begin, why that was."""
        seats = self.seats.values()
        failures = [(seat, seat.end.failure) for seat in seats if seat.end and seat.end.failure]
        lost = [_describe_loss(seat, seat.lost) for seat in seats if seat.lost]
        if failures and not self.begun and not lost:
            # A worker that was told to stop tells nothing of why.
            return min((failure for _, failure in failures), key=lambda each: each.exit_code == INTERRUPTED)
        if self.begun:
            lost += [_describe_loss(seat, f"it came to no result: {failure.message}") for seat, failure in failures]
        parts = [
            Part(
                name=seat.name,
                result=seat.end.result,
                tally=Tally.decode(seat.end.tally),
                slices=Slices.decode(seat.end.slices),
            )
            for seat in seats
            if seat.end and seat.end.result and seat.end.tally
        ]
        return merge_parts(self.order, parts, lost=lost)


def _describe_loss(seat: Seat, why: str) -> Reason:
    return Reason(
        code=WORKER_LOST,
        message=f"{seat.name} was lost: {why}",
        fix="see its log, and keep all workers up to the end of the run",
    )
