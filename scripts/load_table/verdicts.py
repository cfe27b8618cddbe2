"""What a run's own verdict says to a row: whether it could measure what the row is about, and how many runs must have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from seatrial.load.client_saturation import BUSY, CLIENT_SATURATED
from seatrial.load.result import Reason


def are_enough(measured: int, repeats: int) -> bool:
    """Whether a row can be met by so many runs: of several, one may be missing."""
    return measured >= max(1, repeats - 1)


def says_busy(reason: Reason) -> bool:
    """Whether it says that the client worked all the time, and nothing besides: no fault where the client itself is measured."""
    return reason.code == CLIENT_SATURATED and reason.signs == (BUSY,)


def tell(reasons: Iterable[Reason]) -> str:
    """Return them in one line; empty when there are none."""
    return "; ".join(f"{reason.code}: {reason.message}" for reason in reasons)


def tell_flaws(reasons: Iterable[Reason], harmless: Collection[str]) -> str:
    """Return the reasons whose codes are not harmless to a row, in one line; empty when there are none."""
    return tell(reason for reason in reasons if reason.code not in harmless)


def tell_left_out(flaws: Sequence[str], runs: int) -> str:
    """Return how many runs could not measure, and why, for the end of a line; empty when all could."""
    distinct = "; ".join(dict.fromkeys(flaws))
    return f"{len(flaws)} of {runs} could not measure and are left out ({distinct})" if flaws else ""
