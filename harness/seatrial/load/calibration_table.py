"""A calibration as text."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.load.calibration import TIMES_FLOOR, Calibration, SpecimenFigures

_HEADINGS = ("true p50", "p50", "bias", "spread", "true p99", "p99", "bias", "spread")


def render_calibration(calibration: Calibration) -> str:
    """Return the table of the specimens, and what the machine can tell apart; ends with a newline."""
    return "\n".join(_list_lines(calibration)) + "\n"


def _list_lines(calibration: Calibration) -> Iterator[str]:
    steal, worst = (
        "unknown" if share is None else f"{share:.1%}"
        for share in (calibration.steal_share, calibration.steal_worst_share)
    )
    yield (
        f"{calibration.cpus} CPUs, at most {steal} of their time taken by the hypervisor, {worst} in a second; "
        f"{calibration.rate:g} requests/s, {calibration.duration_s:g} s a run"
    )
    yield ""
    yield f"{'milliseconds':<22}" + "".join(f"{each:>9}" for each in _HEADINGS) + "  valid runs"
    for each in calibration.specimens:
        yield _render_row(each)
    yield ""
    lag_p50, lag_p99 = _show(calibration.dispatch_lag_p50_s), _show(calibration.dispatch_lag_p99_s)
    network = _show(calibration.network_p50_s)
    yield f"sent late by {lag_p50} ms (p50), {lag_p99} ms (p99); the host's network and both event loops add {network} ms (p50)"
    if not calibration.valid:
        yield "INVALID: not every specimen could be measured as often as it should be, so there is no noise floor"
        yield "  Fix: run it on a quieter machine, or when nothing else runs"
        return
    for name, floor_s in (("p50", calibration.noise_floor_p50_s), ("p99", calibration.noise_floor_p99_s)):
        if floor_s is not None:
            yield (
                f"noise floor of {name}: {_show(floor_s)} ms; no ranking is given for a difference below "
                f"{_show(TIMES_FLOOR * floor_s)} ms"
            )


def _render_row(each: SpecimenFigures) -> str:
    seconds = (
        each.true_p50_s,
        each.p50_s,
        each.bias_p50_s,
        each.spread_p50_s,
        each.true_p99_s,
        each.p99_s,
        each.bias_p99_s,
        each.spread_p99_s,
    )
    invalid = f" and {each.invalid} invalid" if each.invalid else ""
    return f"{each.name:<22}" + "".join(f"{_show(value):>9}" for value in seconds) + f"  {each.runs}{invalid}"


def _show(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.3f}"
