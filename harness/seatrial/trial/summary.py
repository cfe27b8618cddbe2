"""A trial's result as a table of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seatrial.records import RunResult, TargetResult
from seatrial.trial.result import find_latency

_NONE = "-"
_EXPECTED = "≈"
"""Stands before what failed and was expected to, in the reports too."""
_QUANTILES = ("p50", "p99")
_PHASES = ("build", "publish", "start", "ready", "first-answer")


def render_summary(run: RunResult, directory: Path) -> str:
    """Return the table, what was not run with the way to get it, what failed, and where the report is; ends with a newline."""
    header = [
        "target",
        "verdict",
        "golden right",
        "checks",
        *(f"{phase} s" for phase in _PHASES),
        "memory MB",
        "fidelity",
    ]
    columns = list(_COLUMNS)
    if any(result.loads for result in run.targets.values()):
        header[4:4] = [f"{quantile} ms" for quantile in _QUANTILES]
        columns[3:3] = [_show_latency(quantile) for quantile in _QUANTILES]
    if any(result.capacities for result in run.targets.values()):
        header[4:4] = ["kept /s"]
        columns[3:3] = [_show_capacity]
    rows = [[name, *(column(result) for column in columns)] for name, result in run.targets.items()]
    parts = [_align([header, *rows]), ""]
    parts += [line for name, result in run.targets.items() for line in _explain(name, result)]
    parts += [f"left behind: {left.kind} {left.id}: {left.how}" for left in run.leftovers]
    parts += [f"cause: {cause}" for cause in run.causes]
    left_out = sum(len(result.not_asked) for result in run.targets.values())
    partly = f", {left_out} not asked" if left_out else ""
    parts.append(
        f"verdict: {run.verdict}{partly} (exit code {run.exit_code}), {run.duration_s:.1f} s, trial {run.run_id}"
    )
    parts.append(f"report: {directory / 'report.html'}")
    return "\n".join(parts) + "\n"


def _explain(name: str, result: TargetResult) -> list[str]:
    lines = [f"{name} not run: {lack.name}: {lack.detail}. To get it: {lack.fix}" for lack in result.not_run]
    if result.not_asked:
        lines.append(f"{name} not asked, {len(result.not_asked)} of its checks: {', '.join(result.not_asked)}")
    lines += [f"{name} error: {error.message}" for error in result.errors]
    not_asked = bool(result.errors)
    for check in result.checks:
        if check.status == "error" and not_asked and check.message.startswith("not asked"):
            continue
        if check.status in ("fail", "error", "invalid"):
            lines += [
                f"{name} {check.id} {check.title}: {check.status}: {check.message}",
                f"  again: {check.reproduce}",
            ]
        elif check.status == "expected-failure":
            lines.append(
                f"{name} {check.id} {check.title}: {_EXPECTED} {check.status}: {check.message.splitlines()[0]}"
            )
        lines += [f"{name} {check.id}: {note}" for note in check.notes]
    return lines


def _count_golden(result: TargetResult) -> str:
    cases, right = result.metrics.get("golden_cases"), result.metrics.get("golden_right")
    return _NONE if cases is None or right is None else f"{right:.0f}/{cases:.0f}"


def _count_checks(result: TargetResult) -> str:
    asked = [check for check in result.checks if check.status not in ("unsupported", "not-run")]
    expected = sum(check.status == "expected-failure" for check in asked)
    suffix = f" {_EXPECTED}{expected}" if expected else ""
    return f"{sum(check.status == 'pass' for check in asked)}/{len(asked)}{suffix}" if asked else _NONE


def _show_phase(phase: str) -> Callable[[TargetResult], str]:
    def show(result: TargetResult) -> str:
        seconds = result.phases_s.get(phase)
        return _NONE if seconds is None else f"{seconds:.2f}"

    return show


def _show_latency(quantile: str) -> Callable[[TargetResult], str]:
    def show(result: TargetResult) -> str:
        seconds = result.metrics.get(f"response_time_{quantile}_s")
        latency = find_latency(result.loads)
        overload = " (saturated)" if latency is not None and latency.saturated else ""
        return _NONE if seconds is None else f"{seconds * 1e3:.1f}{overload}"

    return show


def _show_capacity(result: TargetResult) -> str:
    kept, missed = (result.metrics.get(f"capacity_{end}_per_s") for end in ("kept", "missed"))
    if kept is None:
        return _NONE
    return f"{kept:.4g} (missed {missed:.4g})" if missed is not None else f"{kept:.4g} or more"


def _show_memory(result: TargetResult) -> str:
    size = result.metrics.get("memory_peak_bytes") or result.metrics.get("memory_bytes")
    return _NONE if size is None else f"{size / 1e6:.0f}"


def _show_fidelity(result: TargetResult) -> str:
    if result.fidelity is None:
        return _NONE
    return "real" if not result.fidelity.emulated else "partly emulated"


_COLUMNS: tuple[Callable[[TargetResult], str], ...] = (
    lambda result: result.status,
    _count_golden,
    _count_checks,
    *(_show_phase(phase) for phase in _PHASES),
    _show_memory,
    _show_fidelity,
)


def _align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
