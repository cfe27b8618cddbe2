"""Limits of CPU as reports show them: what held, by what means, and how often it throttled."""

from __future__ import annotations

from seatrial.records import CpuLimitRecord
from seatrial_reports.quantities import Figure, dash

_NEVER_THROTTLED = {
    "cpu-set": "a set of CPUs never throttles",
    "none": "without a limit nothing throttles",
}


def show_cpu_limit(limit: CpuLimitRecord | None) -> Figure:
    """Show the limit that held, and what was asked for where that is something else."""
    if limit is None:
        return dash("it was not read")
    if limit.means == "unknown":
        return dash("it could not be read back")
    if limit.cpus is None:
        return Figure(text="no CPU limit")
    asked = "" if abs(limit.cpus - limit.asked) < 0.01 else f" ({limit.asked:g} asked for)"
    return Figure(text=f"{_count_cpus(limit.cpus)}, {_name_means(limit)}{asked}", value=limit.cpus)


def show_throttled(periods: float | None, limit: CpuLimitRecord | None) -> Figure:
    """Show in how many periods a quota held it back."""
    if periods is not None:
        return Figure(text=f"{periods:.0f}", value=periods)
    return dash(_NEVER_THROTTLED.get(limit.means if limit else "", "the technology does not tell"))


def _count_cpus(cpus: float) -> str:
    return f"{cpus:g} CPU{'' if cpus == 1 else 's'}"


def _name_means(limit: CpuLimitRecord) -> str:
    if limit.means == "quota":
        return "by quota"
    return f"by set: {', '.join(map(str, limit.cpu_set))}"
