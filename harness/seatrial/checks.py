"""What a check is: one question with an id, a level, and the sentence that it enforces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from seatrial.errors import ExitCode, SeatrialError
from seatrial.records import Level

MARKER = "seatrial_check"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question.

    Args:
        id: stable and unique, as in `R01`.
        title: what is asked, in a few words.
        level: MUST, SHOULD or MAY, as in RFC 2119.
        sentence: what is enforced.
        source: where that sentence comes from.
        needs: capabilities a target must claim to be asked; empty asks all.
        profile: the smallest profile that asks it.
    """

    id: str
    title: str
    level: Level
    sentence: str
    source: str
    needs: frozenset[str] = frozenset()
    profile: str = "smoke"


class UnsupportedError(SeatrialError):
    """The target does not claim what is asked: a fact about the technology, no failure."""


class InvalidMeasurementError(SeatrialError):
    """The client or the machine could not measure: no figure, and no failure of the target."""

    exit_code = ExitCode.MEASUREMENT_INVALID


class NotRunError(SeatrialError):
    """What is asked cannot be asked here; `fix` says what to install."""


PROFILES = ("smoke", "standard", "nightly")


def check(
    check_id: str,
    title: str,
    *,
    level: Level = "MUST",
    sentence: str,
    source: str,
    needs: frozenset[str] | set[str] = frozenset(),
    profile: str = "smoke",
) -> Callable[[Function], Function]:
    """Mark a test function as a check; the plug-in records its outcome for the target it ran on."""
    import pytest

    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is none of {PROFILES}")
    known = Check(
        id=check_id,
        title=title,
        level=level,
        sentence=sentence,
        source=source,
        needs=frozenset(needs),
        profile=profile,
    )
    mark: Callable[[Function], Function] = getattr(pytest.mark, MARKER)(known)
    return mark
