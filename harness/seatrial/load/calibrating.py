"""Runs specimens of known latency, for `calibration.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from seatrial import registry
from seatrial.load.arrivals import Constant
from seatrial.load.calibration import RATE, Calibration, CalibrationPlan, CalibrationRun, summarize_runs
from seatrial.load.measuring import measure_load
from seatrial.load.plan import Plan
from seatrial.load.quantiles import summarize
from seatrial.load.repeating import repeat_while_invalid
from seatrial.load.result import LoadResult, pass_interrupt_on
from seatrial.load.samples import NEVER
from seatrial.load.schedules import Schedule, make_schedule
from seatrial.load.specimen import Specimen

_CONNECTIONS: Final = 16


def calibrate(plan: CalibrationPlan, *, tell: Callable[[str], None] = lambda _: None) -> Calibration:
    """Run the specimens and return what this machine can tell apart.

    Raises:
        UsageError: a specimen that is not registered.
        HarnessError: a specimen or the pacer broke.
    """
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    schedule = make_schedule(Constant(rate=RATE), duration_s=plan.duration_s, seed=1)
    runs: list[CalibrationRun] = []
    invalid: list[str] = []
    for repeat in range(plan.repeats):
        for name in plan.specimens:
            tell(f"{name}, {repeat + 1} of {plan.repeats}")
            measure = partial(measure_specimen, name, schedule, duration_s=plan.duration_s)
            for run, reasons in repeat_while_invalid(measure, lambda measured: measured[0] is not None):
                if run is not None:
                    runs.append(run)
                    continue
                invalid.append(name)
                tell(f"{name} was no measurement: {reasons}")
    return summarize_runs(plan, runs, invalid, made_at=made_at)


def measure_specimen(name: str, schedule: Schedule, *, duration_s: float) -> tuple[CalibrationRun | None, str]:
    """Run one specimen, in a process of its own; None, and why, when the run was invalid.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile, which the run itself takes for its end.
    """
    count = len(schedule.offsets_ns)
    with (
        registry.find_specimen(name)() as specimen,
        tempfile.TemporaryDirectory(prefix="seatrial-calibrate-") as directory,
    ):
        plan = Plan(
            destination=specimen.destination,
            # Each question is asked once, so that each answer is one of its own.
            requests=tuple(specimen.make_request(number) for number in range(count)),
            cases=tuple(range(count)),
            mode="open",
            duration_s=duration_s,
            connections=_CONNECTIONS,
            timeout_s=5.0,
            drain_s=5.0,
        )
        result = measure_load(plan, schedule, directory=Path(directory), requested=RATE)
        pass_interrupt_on(result.reasons)
        return _read_run(name, result, specimen), "; ".join(
            reason.message for reason in result.reasons
        ) or "answers are missing"


def _read_run(name: str, result: LoadResult, specimen: Specimen) -> CalibrationRun | None:
    # A specimen is not overloaded at this rate: when it seems so, it had no CPU.
    if not result.valid or result.saturated:
        return None
    served = specimen.read_log()
    answered = served[served["written_ns"] != NEVER]
    true = summarize(answered["written_ns"] - answered["arrived_ns"])
    response, lag = result.response_time_s, result.dispatch_lag_s
    if (
        response.p50 is None
        or response.p99 is None
        or true.p50 is None
        or true.p99 is None
        or lag.p50 is None
        or lag.p99 is None
    ):
        return None
    return CalibrationRun(
        name=name,
        requests=result.requests,
        p50_s=response.p50,
        p99_s=response.p99,
        true_p50_s=true.p50,
        true_p99_s=true.p99,
        dispatch_lag_p50_s=lag.p50,
        dispatch_lag_p99_s=lag.p99,
        steal_share=result.client.get("steal_share"),
        steal_worst_share=result.client.get("steal_worst_share"),
    )
