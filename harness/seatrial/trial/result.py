"""Records to `run.json`: verdicts and exit code are computed here and nowhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from seatrial.checks import sort_by_group
from seatrial.errors import ExitCode, choose_exit_code
from seatrial.load.result import LoadResult
from seatrial.records import (
    CapacityRecord,
    CheckRecord,
    DeploymentRecord,
    ErrorRecord,
    FloorRecord,
    LoadRecord,
    NotRunRecord,
    PhaseRecord,
    PlanRecord,
    Record,
    TargetResult,
    Verdict,
)

TargetStatus = Verdict | Literal["not-run"]
LATENCY = "latency"
"""Name of the load run that the headline figures are of."""
CAPACITY = "capacity"
"""Name of the search that the headline capacity is of."""
_RAN = frozenset({"pass", "fail", "expected-failure", "invalid"})


@dataclass
class Tally:
    """The records of one target, by kind."""

    checks: list[CheckRecord] = field(default_factory=list)
    phases: list[PhaseRecord] = field(default_factory=list)
    not_run: list[NotRunRecord] = field(default_factory=list)
    plans: list[PlanRecord] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)
    deployments: list[DeploymentRecord] = field(default_factory=list)
    loads: list[LoadRecord] = field(default_factory=list)
    capacities: list[CapacityRecord] = field(default_factory=list)
    floors: list[FloorRecord] = field(default_factory=list)


_PLACES: Mapping[type[Record], str] = {
    CheckRecord: "checks",
    PhaseRecord: "phases",
    NotRunRecord: "not_run",
    PlanRecord: "plans",
    ErrorRecord: "errors",
    DeploymentRecord: "deployments",
    LoadRecord: "loads",
    CapacityRecord: "capacities",
    FloorRecord: "floors",
}


def gather(records: Iterable[Record]) -> dict[str, Tally]:
    """Sort records by target."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for record in records:
        getattr(tallies[record.target], _PLACES[type(record)]).append(record)
    return dict(tallies)


def judge_target(tally: Tally) -> TargetResult:
    """Return everything about one target, with its verdict."""
    last = tally.deployments[-1] if tally.deployments else None
    return TargetResult(
        status=_judge(tally),
        fidelity=last.fidelity if last else None,
        phases_s=dict(last.phases_s) if last else {},
        timeline=tuple(tally.phases),
        checks=tuple(tally.checks),
        metrics=_measure(tally, last),
        deployments=tuple(tally.deployments),
        loads=tuple(tally.loads),
        capacities=tuple(tally.capacities),
        floors=tuple(tally.floors),
        not_run=tuple(tally.not_run),
        not_asked=_list_not_asked(tally),
        errors=tuple(tally.errors),
        notes=(
            *_note(last),
            *_note_overload(tally.loads),
            *(note for check in tally.checks for note in check.notes),
        ),
    )


def _judge(tally: Tally) -> TargetStatus:
    """`error` before `fail` before `invalid`: what broke outside the target says nothing about it."""
    statuses = {check.status for check in tally.checks}
    ran = statuses & _RAN
    if tally.errors or "error" in statuses:
        return "error"
    if any(check.status == "fail" and check.level != "MAY" for check in tally.checks):
        return "fail"
    if "invalid" in statuses:
        return "invalid"
    if not ran:
        return "not-run"
    return "partial" if tally.not_run or "not-run" in statuses or _list_not_asked(tally) else "pass"


def _list_not_asked(tally: Tally) -> tuple[str, ...]:
    """Return what was planned and has no record: nothing need say that it was left out, nor how."""
    planned = tally.plans[-1].checks if tally.plans else ()  # Of all workers of pytest-xdist the same.
    left_out = Counter(planned) - Counter(check.id for check in tally.checks)
    return tuple(sort_by_group(sorted(left_out)))


def judge_trial(
    targets: Mapping[str, TargetResult], *, require: bool, named: Sequence[str], nightly: bool = False
) -> tuple[Verdict, set[ExitCode], list[str]]:
    """Return the verdict, every exit code that holds, and the causes in words.

    `named` are the targets that were named outright: what they lack is a failure, as everything is with `require`. A measurement
    that is invalid is a cause with `require` or when `nightly`; else it is the verdict alone, for the machine was not fit.
    """
    codes: set[ExitCode] = set()
    causes: list[str] = []
    for name, result in targets.items():
        for error in result.errors:
            codes.add(ExitCode(error.exit_code))
            causes.append(f"{name}: {error.message.splitlines()[0]}")
        for lack in result.not_run:
            if require or name in named:
                codes.add(ExitCode.REQUIREMENT_UNMET)
                causes.append(f"{name} lacks {lack.name}: {lack.detail}")
        left_out = result.not_run or result.not_asked
        if result.status == "not-run" and not left_out and (require or name in named):
            codes.add(ExitCode.NOTHING_RAN)
            causes.append(f"{name}: nothing was asked of it")
        for check in result.checks:
            code = _code_of(check)
            tolerated = code is ExitCode.MEASUREMENT_INVALID and not (require or nightly)
            if code is not None and not tolerated:
                codes.add(code)
                causes.append(f"{name}: {check.id} {check.title}: {check.status}")
    statuses = {result.status for result in targets.values()}
    if not statuses - {"not-run"}:
        codes.add(ExitCode.NOTHING_RAN)
        causes.append("nothing ran")
    return _combine(statuses), codes, causes


def _code_of(check: CheckRecord) -> ExitCode | None:
    if check.status == "fail" and check.level != "MAY":
        return ExitCode.CHECK_FAILED
    if check.status == "error":
        return ExitCode.DEPLOYMENT_FAILED
    if check.status == "invalid":
        return ExitCode.MEASUREMENT_INVALID
    return None


def _combine(statuses: set[TargetStatus]) -> Verdict:
    order: tuple[Verdict, ...] = ("error", "fail", "invalid", "partial")
    worst = next((verdict for verdict in order if verdict in statuses), None)
    if worst is not None:
        return worst
    if statuses == {"pass"}:
        return "pass"
    return "partial" if "pass" in statuses else "error"


def exit_code_of(codes: set[ExitCode]) -> int:
    """Return the exit code of the command line for all that holds."""
    return int(choose_exit_code(codes))


def _measure(tally: Tally, last: DeploymentRecord | None) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {}
    for check in tally.checks:
        if check.id == "R01":
            metrics["golden_cases"] = check.facts.get("cases")
            metrics["golden_right"] = check.facts.get("right")
    metrics.update(_read_latency(tally.loads))
    metrics.update(_read_capacity(tally.capacities))
    if last is not None:
        metrics.update(last.usage)
        metrics["update_downtime_s"] = last.phases_s.get("update-downtime")
    return metrics


def find_latency(loads: Sequence[LoadRecord]) -> LoadResult | None:
    """Return the last latency run that is valid, saturated or not; None when there is none."""
    valid = [each.result for each in loads if each.name == LATENCY and each.result.valid]
    return valid[-1] if valid else None


def _read_latency(loads: Sequence[LoadRecord]) -> dict[str, float | None]:
    """Return the headline of the last latency run that is valid; nothing when there is none."""
    result = find_latency(loads)
    if result is None:
        return {}
    times = result.response_time_s
    return {
        "rate_per_s": result.rate.scheduled,
        "response_time_p50_s": times.p50,
        "response_time_p95_s": times.p95,
        "response_time_p99_s": times.p99,
    }


def _read_capacity(capacities: Sequence[CapacityRecord]) -> dict[str, float | None]:
    """Return both ends of the last search; nothing when there was none."""
    found = [each.capacity for each in capacities if each.name == CAPACITY]
    if not found:
        return {}
    return {
        "capacity_kept_per_s": found[-1].highest_kept,
        "capacity_missed_per_s": found[-1].lowest_missed,
    }


def _note(last: DeploymentRecord | None) -> tuple[str, ...]:
    if last is None:
        return ()
    missing = [name for name in ("cpus", "memory_bytes") if last.limits.get(name) is None]
    notes = []
    if missing:
        words = " and ".join(name.removesuffix("_bytes") for name in missing)
        notes.append(f"not comparable by speed: no limit on {words} holds here")
    if last.cpu_limit is not None and last.cpu_limit.means == "cpu-set":
        notes.append(
            "CPU is limited by a set of CPUs, not by a quota: it is never throttled, and never on more at once"
        )
    return tuple(notes)


def _note_overload(loads: Sequence[LoadRecord]) -> tuple[str, ...]:
    """A run that is saturated is valid, so its times are among the headline figures like any other's."""
    result = find_latency(loads)
    if result is None or not result.saturated:
        return ()
    return ("saturated: its response times are those of an overload, and grow with the length of the run",)
