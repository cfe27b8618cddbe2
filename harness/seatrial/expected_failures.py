"""What entries of expected failures make of a check's outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from seatrial.expectations import Expectation
from seatrial.records import CheckStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a check ended.

    Args:
        status: before any entry is heard.
        message: the evidence.
        found: message by name of the cases that do not hold; None where it failed otherwise than by its cases.
        asked: the cases that were judged; None where it has none, or did not get that far.
    """

    status: CheckStatus
    message: str = ""
    found: Mapping[str, str] | None = None
    asked: AbstractSet[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What is recorded in the end.

    Args:
        stale: of entries that match nothing, which is a failure whatever the check's level.
        notes: of entries that were not heard, for their range is another.
    """

    status: CheckStatus
    message: str
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Sorted:
    """The cases of an outcome, by what the entries say of them."""

    expected: dict[str, Expectation] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)


def rule(outcome: Outcome, entries: Sequence[Expectation], version_of: Callable[[str], str]) -> Ruling:
    """Hold an outcome against the entries for its check; `version_of` a package is empty where nobody can tell it.

    Only what passed or failed is: what could not be asked or measured says nothing about the target.
    """
    if outcome.status not in ("pass", "fail") or not entries:
        return Ruling(status=outcome.status, message=outcome.message)
    versions = {entry.package: version_of(entry.package) for entry in entries}
    heard = [entry for entry in entries if entry.covers(versions[entry.package])]
    notes = tuple(_note(entry, versions[entry.package]) for entry in entries if entry not in heard)
    if not heard:
        return Ruling(status=outcome.status, message=outcome.message, notes=notes)
    whole = [entry for entry in heard if not entry.cases]
    cases = _sort_cases(outcome, [entry for entry in heard if entry.cases])
    if outcome.status == "pass":
        cases.stale[:0] = [_tell_mended(entry) for entry in whole]
        status: CheckStatus = "fail" if cases.stale else "pass"
        return Ruling(status=status, message="\n".join(cases.stale), stale=tuple(cases.stale), notes=notes)
    found = outcome.found or {}
    new = {} if whole else {case: text for case, text in found.items() if case not in cases.expected}
    uncovered = not whole and (bool(new) or outcome.found is None)
    lines = [
        *cases.stale,
        *_tell_expected(whole, cases.expected),
        *_tell_evidence(outcome, new, uncovered=uncovered, partly=bool(cases.expected)),
    ]
    status = "fail" if uncovered or cases.stale else "expected-failure"
    return Ruling(status=status, message="\n".join(lines), stale=tuple(cases.stale), notes=notes)


def _sort_cases(outcome: Outcome, entries: Sequence[Expectation]) -> _Sorted:
    """Sort the cases that entries name. Of a check that failed before its cases were judged, none is known to hold."""
    result = _Sorted()
    if outcome.status == "fail" and outcome.found is None:
        return result
    found, asked = outcome.found or {}, outcome.asked or frozenset()
    for entry in entries:
        for case in entry.cases:
            if case in found:
                result.expected[case] = entry
            elif case in asked:
                result.stale.append(_tell_mended(entry, case))
            elif not entry.if_asked:
                named = f"asked were {', '.join(map(repr, sorted(asked)))}" if asked else "it judges no cases"
                result.stale.append(f"{entry.check} has no case {case!r}, {named}: correct the entry in {entry.source}")
    return result


def _tell_mended(entry: Expectation, case: str = "") -> str:
    what = f"{entry.check}, case {case!r}," if case else entry.check
    return f"{what} was expected to fail, and holds: take out the {'case' if case else 'entry'} in {entry.source}"


def _tell_expected(whole: Sequence[Expectation], by_case: Mapping[str, Expectation]) -> Iterator[str]:
    for entry in whole:
        yield f"expected: {entry.explain()}"
    entries = {entry.source: entry for entry in by_case.values()}
    for source, entry in entries.items():
        named = ", ".join(case for case, each in by_case.items() if each.source == source)
        yield f"expected of {named}: {entry.explain()}"


def _tell_evidence(outcome: Outcome, new: Mapping[str, str], *, uncovered: bool, partly: bool) -> Iterator[str]:
    if uncovered and partly:
        yield f"not expected, {len(new)} of {len(outcome.found or {})} cases that do not hold:"
        yield from (f"{case}: {text}" for case, text in new.items())
    elif uncovered and outcome.found is None:
        yield "not expected: entries are for cases of it, and it failed before it had judged them all"
        yield outcome.message
    else:
        yield outcome.message


def _note(entry: Expectation, version: str) -> str:
    of = f" ({', '.join(entry.cases)})" if entry.cases else ""
    this = f"this is {version}" if version else "which version this is, nobody can tell"
    return f"the entry for {entry.check}{of} was seen in {entry.seen_in}; {this}, so it is not heard ({entry.source})"
