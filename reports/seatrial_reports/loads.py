"""Load runs as reports show them: a line a run, with a dash and the reason where there is no figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seatrial.load.result import LoadResult
from seatrial.load.summary import list_among_failures, list_remarks
from seatrial.records import LoadRecord, RunResult
from seatrial_reports.limits import show_cpu_limit, show_throttled
from seatrial_reports.quantities import Figure, dash

QUANTILES = ("p50", "p90", "p95", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLine:
    """One run; `times` are response times in the order of `QUANTILES`, milliseconds, from the intended send on."""

    target: str
    name: str
    state: str
    """`valid`, `saturated` or `invalid`."""
    load: str
    times: tuple[Figure, ...]
    right: Figure
    wrong: int
    failed: int
    cpu_limit: Figure
    throttled: Figure
    network_path: str
    notes: tuple[str, ...]
    """Why it is saturated or no measurement, and what should be known of its figures."""


def list_loads(run: RunResult) -> list[LoadLine]:
    """Return the load runs of all targets, each attempt."""
    return [_describe(record) for result in run.targets.values() for record in result.loads]


def _describe(record: LoadRecord) -> LoadLine:
    result = record.result
    attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
    right = result.outcomes.get("answered", 0)
    return LoadLine(
        target=record.target,
        name=f"{record.name}{attempt}",
        state="saturated" if result.saturated else "valid" if result.valid else "invalid",
        load=f"{result.arrivals}, {result.duration_s:g} s",
        times=_list_times(result),
        right=Figure(text=f"{right} of {result.requests}", value=right / max(result.requests, 1)),
        wrong=result.wrong,
        failed=result.errors + result.censored,
        cpu_limit=show_cpu_limit(record.cpu_limit),
        throttled=show_throttled(record.usage.get("throttled_periods"), record.cpu_limit),
        network_path=f"{record.network_path}, {record.wire}",
        notes=tuple(_list_notes(result)),
    )


def _list_notes(result: LoadResult) -> Iterator[str]:
    for reason in result.reasons:
        yield f"{reason.code}: {reason.message}{f'. Fix: {reason.fix}' if reason.fix else ''}"
    yield from (f"remark: {remark}" for remark in list_remarks(result))


def _list_times(result: LoadResult) -> tuple[Figure, ...]:
    times = result.response_time_s
    found = (times.p50, times.p90, times.p95, times.p99, times.p99_9, times.max)
    why = "too few requests for this quantile" if result.valid else "the run is no measurement"
    whys = dict.fromkeys(list_among_failures(result), "it lies among requests that failed")
    return tuple(
        dash(whys.get(name, why)) if value is None else Figure(text=f"{value * 1e3:.2f} ms", value=value * 1e3)
        for name, value in zip(QUANTILES, found, strict=True)
    )
