"""What network paths cost by themselves, as reports say it."""

from __future__ import annotations

from seatrial.records import FloorLegRecord, FloorRecord, RunResult

_BEHIND = "sagemaker's container, where its fidelity says that it is one, has a published port too, between the emulator and it."


def list_floors(run: RunResult) -> list[str]:
    """Return a sentence for each path that was held against its floor, and one for what has the same path within it."""
    sentences = [_describe(record) for result in run.targets.values() for record in result.floors]
    emulated = any(each.network_path == "emulator" for result in run.targets.values() for each in result.deployments)
    return [*sentences, _BEHIND] if sentences and emulated else sentences


def _describe(record: FloorRecord) -> str:
    asked = f"{record.target}: {record.question} at {record.rate:g}/s"
    if record.cost_p50_s is None:
        codes = ", ".join(dict.fromkeys((*record.path.reasons, *record.floor.reasons))) or "too few requests"
        return f"{asked}: what the {record.network_path} costs is not known: {codes}"
    between = "how surely is not known"
    if record.cost_low_s is not None and record.cost_high_s is not None:
        between = f"{record.cost_low_s * 1e3:.3f} to {record.cost_high_s * 1e3:.3f} ms by both intervals of 95 %"
    return (
        f"{asked}: the {record.network_path} costs {record.cost_p50_s * 1e3:.3f} ms at p50 ({between}): {_show(record.path)}; "
        f"{_show(record.floor)}"
    )


def _show(leg: FloorLegRecord) -> str:
    return f"{(leg.p50_s or 0.0) * 1e3:.3f} ms by {leg.way}"
