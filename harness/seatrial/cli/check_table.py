"""What `seatrial check` prints: the checks as a table, the evidence of what does not hold, and the totals."""

from __future__ import annotations

from seatrial.check_result import CheckOutcome, CheckResult

_SHOWN_CHARACTERS = 90
_WITH_EVIDENCE = frozenset({"fail", "error", "invalid"})
_GOLDEN = {
    "given": "golden cases",
    "learned": "questions made of its signature, answers learned from the endpoint itself",
    "unsteady": "questions made of its signature, which it does not answer the same way twice",
}


def render_checks(result: CheckResult) -> str:
    """Return the text; ends with a newline."""
    model = result.model
    asked = f"{result.url} ({result.wire}{f', {result.name}' if result.name else ''})"
    parts = [
        f"{asked}: {model.name} {model.version}, {model.cases} {_GOLDEN[model.golden]}",
        *(f"remark: {remark}" for remark in result.remarks),
        "",
    ]
    if result.checks:
        parts += [*_align([["check", "level", "title", "status", ""], *map(_tell_row, result.checks)]), ""]
    for check in result.checks:
        if check.status in _WITH_EVIDENCE and not _was_not_asked(check):
            parts += [f"{check.id} {check.title}: {check.status}: {check.message}", f"  again: {check.reproduce}", ""]
    parts += [f"cause: {cause}" for cause in result.causes]
    totals = ", ".join(f"{count} {status}" for status, count in result.totals.items() if count)
    parts.append(f"{totals or 'no check was asked'}: {result.verdict} (exit code {result.exit_code})")
    return "\n".join(parts) + "\n"


def _tell_row(check: CheckOutcome) -> list[str]:
    first = (check.message.splitlines() or [""])[0]
    shown = first if len(first) <= _SHOWN_CHARACTERS else f"{first[: _SHOWN_CHARACTERS - 1]}…"
    return [check.id, check.level, check.title, check.status, shown]


def _was_not_asked(check: CheckOutcome) -> bool:
    """Whether the cause that is told below says it all."""
    return check.status == "error" and check.message.startswith("not asked")


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * (width or 7) for width in widths), *lines[1:]]
