"""R02, asked of a whole trial when its targets are gone: all give the same answers for the same artifact."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seatrial.checks import Check
from seatrial.comparison import Comparison, compare
from seatrial.model import Arrays, Manifest
from seatrial.records import CheckRecord, CheckStatus
from seatrial.trial.answers import read_answers
from seatrial.trial.directory import to_facts

GOLDEN: Final = "R01"
"""The check that leaves each target's answers."""
EQUALITY: Final = Check(
    id="R02",
    title="the same answers on every target",
    level="MUST",
    sentence="A target's answers to the golden cases are those of the first target of the trial that answered all of them right, "
    "within the model's tolerance.",
    source="seatrial's list of checks, R02",
)
NOTES: Final = (
    "No test asks it: a trial of several targets compares the answers that R01 left, when its targets are gone. A trial of "
    "one target has nothing to compare. What a target left unanswered is R01's to say."
)
_MAX_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """What two targets' answers have between them."""

    target: str
    cases: int
    wrong: tuple[str, ...]
    worst: Comparison | None
    worst_case: str


def compare_targets(
    checks: Iterable[CheckRecord], manifest: Manifest, directory: Path, order: Sequence[str]
) -> list[CheckRecord]:
    """Return a record of R02 for each target that R01 was asked of; none for a trial of one target.

    `order` are the trial's targets: the first that R01 passed on is the one that the others are compared with.
    """
    if len(order) < 2:
        return []
    began_s = time.monotonic()
    golden = {check.target: check for check in checks if check.id == GOLDEN}
    asked = [name for name in order if name in golden]
    answers: dict[str, dict[str, Arrays]] = {}
    records: dict[str, CheckRecord] = {}
    for name in asked:
        try:
            answers[name] = _read(golden[name], manifest, directory)
        except (OSError, ValueError) as error:
            records[name] = _record(name, "error", f"its answers cannot be read again: {error}")
    answered = [name for name in asked if answers.get(name)]
    reference = next((name for name in answered if golden[name].status == "pass"), "")
    for name in set(asked) - set(records):
        if why := _explain_absence(name, answered, reference):
            records[name] = _record(name, "not-run", why)
    others = [name for name in answered if name != reference]
    if reference and others:
        differences = [_compare(name, answers[reference], answers[name], manifest) for name in others]
        took_s = (time.monotonic() - began_s) / len(answered)
        records[reference] = _judge_reference(reference, differences, took_s)
        records |= {each.target: _judge(reference, each, took_s) for each in differences}
    return [records[name] for name in asked]


def _read(golden: CheckRecord, manifest: Manifest, directory: Path) -> dict[str, Arrays]:
    name = golden.facts.get("answers")
    return read_answers(directory / name, manifest) if isinstance(name, str) else {}


def _explain_absence(name: str, answered: Sequence[str], reference: str) -> str:
    if name not in answered:
        return "it answered no golden case, so it has none to compare"
    if len(answered) < 2:
        return "fewer than two targets answered golden cases, so there is none to compare with"
    return "" if reference else "no target answered every golden case right, so there is none to compare with"


def _compare(target: str, want: Mapping[str, Arrays], got: Mapping[str, Arrays], manifest: Manifest) -> _Difference:
    wrong = []
    worst, worst_case = None, ""
    shared = [case for case in want if case in got]
    for case in shared:
        found = compare(want[case], got[case], manifest)
        if not found.right:
            wrong.append(f"{case}: {found.message}")
        if worst is None or (found.worst_absolute, found.worst_relative) > (worst.worst_absolute, worst.worst_relative):
            worst, worst_case = found, case
    return _Difference(target=target, cases=len(shared), wrong=tuple(wrong), worst=worst, worst_case=worst_case)


def _judge(reference: str, found: _Difference, took_s: float) -> CheckRecord:
    facts = {"compared_with": reference, **_describe(reference, [found])}
    again = f"seatrial run --target {reference},{found.target}"
    if not found.cases:
        return _record(found.target, "not-run", f"it and {reference} answered no golden case in common")
    if not found.wrong:
        return _record(found.target, "pass", "", took_s, facts, again)
    shown = list(found.wrong[:_MAX_SHOWN])
    if len(found.wrong) > _MAX_SHOWN:
        shown.append(f"… and {len(found.wrong) - _MAX_SHOWN} more")
    head = f"{len(found.wrong)} of {found.cases} golden cases are answered otherwise than {reference} answers them:"
    return _record(found.target, "fail", "\n".join([head, *shown]), took_s, facts, again)


def _judge_reference(reference: str, found: Sequence[_Difference], took_s: float) -> CheckRecord:
    """The target that the others are compared with differs from none: that one of them is wrong is not its failure."""
    if not any(each.cases for each in found):
        return _record(reference, "not-run", "no other target answered a golden case that it answered")
    facts = {"compared_with": ", ".join(each.target for each in found), **_describe(reference, found)}
    return _record(reference, "pass", "", took_s, facts, f"seatrial run --target {reference},{found[0].target}")


def _describe(reference: str, found: Sequence[_Difference]) -> dict[str, Any]:
    """Return the figures of comparisons with one target, and of which pair the worst is."""
    facts: dict[str, Any] = {
        "cases": sum(each.cases for each in found),
        "different": sum(len(each.wrong) for each in found),
    }
    measured = [(each.worst, each) for each in found if each.worst is not None]
    if measured:
        worst, pair = max(measured, key=lambda each: (each[0].worst_absolute, each[0].worst_relative))
        facts |= {
            "worst_absolute_difference": worst.worst_absolute,
            "worst_relative_difference": max(each.worst_relative for each, _ in measured),
            "worst_case": pair.worst_case,
            "worst_pair": f"{reference} and {pair.target}",
        }
    return facts


def _record(
    target: str,
    status: CheckStatus,
    message: str,
    took_s: float = 0.0,
    facts: Mapping[str, Any] | None = None,
    reproduce: str = "",
) -> CheckRecord:
    return CheckRecord(
        target=target,
        id=EQUALITY.id,
        title=EQUALITY.title,
        level=EQUALITY.level,
        status=status,
        message=message,
        source=f"{EQUALITY.sentence} ({EQUALITY.source})",
        reproduce=reproduce,
        duration_s=took_s,
        facts=to_facts(dict(facts or {})),
    )
