"""What a check is: one question with an id, a level, and the sentence that it enforces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from seatrial.errors import ExitCode, SeatrialError
from seatrial.model import LEARNED, UNSTEADY
from seatrial.records import CheckStatus, Level

if TYPE_CHECKING:
    from seatrial.wire import Wire

MARKER = "seatrial_check"
ASKED_CASES = "asked_cases"
"""Key of a check's facts: the names of all its cases. Entries of expected failures are held against them; not recorded."""
FIRST_VERSION = "0.1.0"
GROUPS: Final[Mapping[str, str]] = {
    "C": "Contract",
    "R": "Correctness",
    "B": "Bad input",
    "N": "Concurrency",
    "L": "Lifecycle",
    "F": "Faults",
    "X": "Security",
    "O": "Observability",
    "P": "Performance",
}
"""What checks are about, by the letter of their id, in the order in which they are listed."""
OTHERS: Final = "Of your own"
STATUS_MEANINGS: Final[Mapping[CheckStatus, str]] = {
    "pass": "what the check demands holds",
    "fail": "the target does not do what the check demands",
    "error": "the harness or the machine broke, so nothing is said about the target",
    "invalid": "the measurement cannot be trusted, so there is no number",
    "unsupported": "the target does not claim to do this, or is not asked in the way that the check asks",
    "expected-failure": "the technology promises it, is known to break it, and it is listed with a reason",
    "not-run": "something it needs is missing",
}
_OWN_ID = re.compile(f"[{''.join(GROUPS)}][0-9]{{2}}[a-z]?")
Function = TypeVar("Function", bound=Callable[..., Any])
Answers = Literal["own", "learned", "any"]
"""What a check compares with: the model's own answers; those, or what the endpoint answers when it is asked alone; nothing."""


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
        since: the first version of seatrial that has it.
        wires: names of wires (`v2`) or of framings (`http`) that it can be asked over; a wire is one of them when its name or its
            framing is. Empty is every wire.
        covers: ids of seatrial's list whose question this check asks along with its own.
        answers: what it compares with.
        replaces: of a user's own check, the id of the one of seatrial's in whose place it is asked.
        apart: it asks a deployment of its own (`seatrial_deploy`), and the one that all share, of its model too, only in its turn
            (`seatrial_turn`): so it is asked in another thread, beside other checks.
    """

    id: str
    title: str
    level: Level
    sentence: str
    source: str
    needs: frozenset[str] = frozenset()
    profile: str = "smoke"
    since: str = FIRST_VERSION
    wires: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()
    answers: Answers = "learned"
    replaces: str = ""
    apart: bool = False

    def say_missing(self, golden: str) -> str:
        """Return why a model whose golden answers are these (`Manifest.golden`) does not do for it; empty when it does."""
        if self.answers == "own" and golden in {LEARNED, UNSTEADY}:
            return "no golden cases: what is right is known from the model alone"
        if self.answers != "any" and golden == UNSTEADY:
            return "the same question, asked twice, had two answers: whether one is right cannot be told"
        return ""

    def is_asked_over(self, wire: Wire) -> bool:
        """Whether it can be asked over a wire."""
        return not self.wires or not self.wires.isdisjoint({wire.name, wire.framing})


def name_group(check_id: str) -> str:
    """Return what a check is about; one whose id is none of seatrial's is the user's own."""
    return GROUPS[check_id[0]] if _OWN_ID.fullmatch(check_id) else OTHERS


def sort_by_group(check_ids: Iterable[str]) -> list[str]:
    """Return ids in the order of the groups, and by number in each; the user's own come last, as they came."""
    places = {group: place for place, group in enumerate([*GROUPS.values(), OTHERS])}

    def rank(check_id: str) -> tuple[int, str]:
        group = name_group(check_id)
        return places[group], "" if group == OTHERS else check_id

    return sorted(dict.fromkeys(check_ids), key=rank)


class UnsupportedError(SeatrialError):
    """The target does not claim what is asked, or could not be asked in the way that the check asks: no failure."""


class InvalidMeasurementError(SeatrialError):
    """The client or the machine could not measure: no figure, and no failure of the target."""

    exit_code = ExitCode.MEASUREMENT_INVALID


class NotRunError(SeatrialError):
    """What is asked cannot be asked here; `fix` says what to install."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One case of a check that did not hold.

    Args:
        case: its name, the same in every run: an entry of expected failures names it.
        message: what was sent, what came back, and what was asked for.
    """

    case: str
    message: str


class FindingsError(AssertionError):
    """A check does not hold, in these of its cases."""

    def __init__(self, findings: Sequence[Finding], asked: int) -> None:
        self.findings = tuple(findings)
        lines = [
            f"{len(findings)} of {asked} cases do not hold:",
            *(f"{each.case}: {each.message}" for each in findings),
        ]
        super().__init__("\n".join(lines))


class Findings:
    """Gathers what a check of several cases found, so that one that does not hold keeps none of the others from being asked."""

    def __init__(self) -> None:
        self._asked: list[str] = []
        self._found: list[Finding] = []

    @property
    def wrong(self) -> list[str]:
        """The cases that did not hold, in the order in which they were asked."""
        return [each.case for each in self._found]

    def judge(self, case: str, message: str) -> None:
        """Count a case as asked; one with a message does not hold. Raises ValueError for a case that was judged before."""
        if case in self._asked:
            raise ValueError(f"case {case!r} was judged before")
        self._asked.append(case)
        if message:
            self._found.append(Finding(case, message))

    def conclude(self, facts: dict[str, Any]) -> None:
        """Leave the counts in the facts. Raises FindingsError when a case did not hold, ValueError when none was asked."""
        if not self._asked:
            raise ValueError("no case was judged, so nothing was checked")
        facts.update(cases=len(self._asked), wrong=len(self._found), wrong_cases=self.wrong)
        facts[ASKED_CASES] = list(self._asked)
        if self._found:
            raise FindingsError(self._found, len(self._asked))


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
    since: str = FIRST_VERSION,
    wires: frozenset[str] | set[str] = frozenset(),
    covers: frozenset[str] | set[str] = frozenset(),
    answers: Answers = "learned",
    replaces: str = "",
    apart: bool = False,
) -> Callable[[Function], Function]:
    """Mark a test function as a check; the plug-in records its outcome for the target it ran on.

    A check of your own has an id of its own, also where it `replaces` one of seatrial's, which is then told as not asked.
    """
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
        since=since,
        wires=frozenset(wires),
        covers=frozenset(covers),
        answers=answers,
        replaces=replaces,
        apart=apart,
    )
    mark: Callable[[Function], Function] = getattr(pytest.mark, MARKER)(known)
    return mark
