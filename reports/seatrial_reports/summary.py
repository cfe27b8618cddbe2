"""What every report says first: one line for each target, what failed, what was not run and how to get it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seatrial.records import CheckRecord, FidelityRecord, NotRunRecord, RunResult, TargetResult
from seatrial_reports.quantities import Figure, dash, show_bytes, show_seconds
from seatrial_reports.statuses import RED

PHASES = ("build", "publish", "start", "ready", "first-answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSummary:
    """One line of the summary table; `phases` are in the order of `PHASES`."""

    name: str
    status: str
    golden: Figure
    phases: tuple[Figure, ...]
    fidelity: str
    memory_peak: Figure
    notes: tuple[str, ...]


def summarise(run: RunResult) -> list[TargetSummary]:
    """Return the lines of the summary table."""
    return [summarise_target(name, result) for name, result in run.targets.items()]


def summarise_target(name: str, result: TargetResult) -> TargetSummary:
    """Return one target's line."""
    why = _explain_absence(result)
    return TargetSummary(
        name=name,
        status=result.status,
        golden=_count_golden(result, why or "no check compared golden answers"),
        phases=tuple(
            show_seconds(result.phases_s.get(phase), why or f"this target recorded no phase {phase}")
            for phase in PHASES
        ),
        fidelity=describe_fidelity(result.fidelity),
        memory_peak=_find_memory_peak(result, why or "the technology does not tell its peak memory"),
        notes=result.notes,
    )


def describe_fidelity(fidelity: FidelityRecord | None) -> str:
    """Say in a phrase how real the technology was: what is not said to be emulated or absent is real."""
    if fidelity is None:
        return "not recorded"
    parts = [
        f"{word}: {', '.join(phrases)}"
        for word, phrases in (("emulated", fidelity.emulated), ("absent", fidelity.absent))
        if phrases
    ]
    return "; ".join(parts) or "real"


def list_red_checks(run: RunResult) -> list[CheckRecord]:
    """Return the checks that failed, broke or have no valid number."""
    return [check for check in _all_checks(run) if check.status in RED]


def list_checks(run: RunResult, status: str) -> list[CheckRecord]:
    """Return the checks with one status."""
    return [check for check in _all_checks(run) if check.status == status]


def list_not_run(run: RunResult) -> list[NotRunRecord]:
    """Return what was not run, targets and single checks; a target that is marked so without saying why is listed too."""
    found: list[NotRunRecord] = []
    for name, result in run.targets.items():
        found.extend(result.not_run)
        found.extend(
            NotRunRecord(target=name, name=f"for {check.id} {check.title}", detail=check.message, fix="")
            for check in result.checks
            if check.status == "not-run"
        )
        if result.not_asked:
            told = f"not asked, though of the chosen profile and suites: {', '.join(result.not_asked)}"
            found.append(NotRunRecord(target=name, name=_count_checks(result.not_asked), detail=told, fix=""))
        if result.status == "not-run" and not (result.not_run or result.checks or result.not_asked):
            found.append(
                NotRunRecord(target=name, name="target", detail="no reason was recorded", fix="seatrial doctor")
            )
    return found


def _all_checks(run: RunResult) -> Iterator[CheckRecord]:
    for result in run.targets.values():
        yield from result.checks


def _explain_absence(result: TargetResult) -> str:
    if result.status == "not-run" and result.not_asked:
        return "not asked"
    if result.status == "not-run":
        return "not run: " + "; ".join(f"{missing.name}: {missing.detail}" for missing in result.not_run)
    if result.errors and not result.deployments:
        return "the deployment failed before this was known"
    return ""


def _count_checks(ids: Sequence[str]) -> str:
    return f"{len(ids)} check{'s' if len(ids) != 1 else ''}"


def _count_golden(result: TargetResult, why: str) -> Figure:
    right, cases = result.metrics.get("golden_right"), result.metrics.get("golden_cases")
    if right is None or not cases:
        return dash(why)
    return Figure(text=f"{right:.0f} of {cases:.0f}", value=right / cases)


def _find_memory_peak(result: TargetResult, why: str) -> Figure:
    peaks = [deployment.usage.get("memory_peak_bytes") for deployment in result.deployments]
    known = [peak for peak in peaks if peak is not None]
    return show_bytes(max(known) if known else result.metrics.get("memory_peak_bytes"), why)
