"""From records to figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import SampleSeries, read_blocks
from seatrial.load.checking import Checked
from seatrial.load.driver import PacerRun
from seatrial.load.lateness import is_sent, read_lags
from seatrial.load.levelness import judge_levelness
from seatrial.load.machine import MachineUse
from seatrial.load.quantiles import FOREVER_NS, find_intervals, summarize
from seatrial.load.ranking import is_ranked, rank_times
from seatrial.load.result import Interval, Lag, LoadResult, Quantiles, Rate
from seatrial.load.samples import NEVER, SUCCESSES, Outcome, Samples
from seatrial.load.saturation import find_saturation
from seatrial.load.stationarity import WarmUpVerdict
from seatrial.load.stopping import CONFIDENCE, StopVerdict
from seatrial.load.validity import find_flaws
from seatrial.load.window import Window, find_window

ERRORS: Final = frozenset(Outcome) - {Outcome.ANSWERED, Outcome.WRONG, Outcome.CENSORED}
NO_FIGURES: Final = Quantiles(p50=None, p90=None, p95=None, p99=None, p99_9=None, max=None)
INTERVALS: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_FOREVER_S: Final = FOREVER_NS / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The times of a run, of its window, whether or not it is valid."""

    response: Quantiles = NO_FIGURES
    service: Quantiles = NO_FIGURES
    failure: Quantiles = NO_FIGURES
    connect: Quantiles | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)


def analyse(
    run: PacerRun,
    *,
    arrivals: str = "",
    seed: int = 0,
    requested: float | None = None,
    scheduled: float | None = None,
    cut: str = "",
    machine: MachineUse | None = None,
    checked: Checked | None = None,
    warm_up: WarmUpVerdict | None = None,
    stop: StopVerdict | None = None,
    started_at: str = "",
) -> LoadResult:
    """Return the figures of a run; when it is invalid none of its times, and no rate that they made.

    Args:
        run: what the pacer did; answers that were found wrong are marked so in its samples.
        arrivals: the law of the schedule.
        seed: of the schedule.
        requested: requests a second that were asked for.
        scheduled: requests a second of the schedule that was drawn.
        cut: what of the law the window left out.
        machine: what the machine did meanwhile.
        checked: what came of comparing answers with golden ones; None when they were not.
        warm_up: what was found of response times before the window; None when its length was given.
        stop: what was found of whether enough is known; None when nobody asked.
        started_at: UTC, ISO 8601.
    """
    flaws = find_flaws(run, machine, checked)
    saturation = () if flaws else find_saturation(run)
    window = find_window(run)
    outcomes, statuses, in_time = _count(run.samples, window)
    figures = Figures() if flaws else measure(run.samples, stop.confidence if stop else CONFIDENCE)
    level = None if flaws else judge_levelness(run)
    lag = summarize(SampleSeries(run.samples, is_sent, read_lags))
    return LoadResult(
        mode=run.plan.mode,
        arrivals=arrivals,
        seed=seed,
        valid=not flaws,
        saturated=bool(saturation),
        reasons=flaws + saturation,
        cut=cut,
        requests=sum(outcomes.values()),
        errors=sum(outcomes.get(outcome, 0) for outcome in ERRORS),
        wrong=outcomes.get(Outcome.WRONG, 0),
        censored=outcomes.get(Outcome.CENSORED, 0),
        rate=Rate(
            requested=requested,
            scheduled=scheduled,
            achieved=None if withholds_rate(run.plan.mode, valid=not flaws) else in_time * 1e9 / window.length_ns,
        ),
        response_time_s=figures.response,
        service_time_s=figures.service,
        failure_time_s=figures.failure,
        dispatch_lag_s=Lag(p50=lag.p50, p99=lag.p99, max=lag.max),
        connect_time_s=figures.connect,
        intervals=figures.intervals,
        duration_s=(window.end_ns - window.begin_ns) / 1e9,
        outcomes={outcome.name.lower(): count for outcome, count in outcomes.items()},
        statuses={str(status): count for status, count in statuses.items()},
        connections_opened=run.done.connections_opened,
        checked=checked is not None,
        mixed_up=checked.mixed_up if checked else 0,
        examples=checked.examples if checked else (),
        # Of a run that was stopped in its warm-up the window never began.
        warm_up_s=max(0, min(run.done.window_begin_ns, run.done.end_ns) - run.done.start_ns) / 1e9,
        stationary=warm_up.stationary if warm_up else None,
        warm_up=warm_up.message if warm_up else "",
        window_stationary=level.stationary if level else None,
        window_course=level.message if level else "",
        ended=f"{stop.why}: {stop.message}" if stop and stop.stop else "",
        client=_describe_client(run, machine or MachineUse()),
        started_at=started_at,
    )


def withholds_rate(mode: str, *, valid: bool) -> bool:
    """Whether the rate of right answers is no figure: where each user waits for an answer, response times make it."""
    return mode == "closed" and not valid


def measure(samples: Samples, confidence: float = CONFIDENCE) -> Figures:
    """Return the times of the window.

    Response and service times are of right answers. Requests that failed, however and whenever, rank above all of them: a
    quantile that lies among those is null, and none looks better for their sake. When failures came is a series of its own.
    """
    response = SampleSeries(samples, is_ranked, rank_times)
    intervals = find_intervals(response, tuple(INTERVALS.values()), confidence)
    known = {name: each for name, p in INTERVALS.items() if (each := intervals[p]) and each.high < _FOREVER_S}
    connect = SampleSeries(samples, _is_opened, lambda block: block["connect_ns"])
    return Figures(
        response=_summarize(response),
        service=_summarize(SampleSeries(samples, is_ranked, lambda block: rank_times(block, "sent_ns"))),
        failure=summarize(SampleSeries(samples, _is_failure, lambda block: block["last_ns"] - block["intended_ns"])),
        connect=summarize(connect) if connect.count else None,
        intervals=known,
    )


def _summarize(times: SampleSeries) -> Quantiles:
    """Return the quantiles, null those that lie among the failures."""
    quantiles = summarize(times)
    known = {
        name: value if value is None or value < _FOREVER_S else None
        for name, value in msgspec.structs.asdict(quantiles).items()
    }
    return Quantiles(**known)


def _is_failure(block: Samples) -> npt.NDArray[np.bool_]:
    """Failures that ended at a time of their own: not those that were still pending, or never begun."""
    chosen: npt.NDArray[np.bool_] = (block["phase"] == 0) & ~np.isin(
        block["outcome"], (*SUCCESSES, Outcome.CENSORED, Outcome.UNSENT)
    )
    return chosen


def _is_opened(block: Samples) -> npt.NDArray[np.bool_]:
    chosen: npt.NDArray[np.bool_] = (block["phase"] == 0) & (block["connect_ns"] != NEVER)
    return chosen


def _count(samples: Samples, window: Window) -> tuple[dict[Outcome, int], dict[int, int], int]:
    """Return the window's requests by outcome and by status, and how many right answers came within it."""
    outcomes, statuses, in_time = np.zeros(256, np.int64), np.zeros(1 << 16, np.int64), 0
    for block in read_blocks(samples):
        timed = block[block["phase"] == 0]
        outcomes += np.bincount(timed["outcome"], minlength=256)
        statuses += np.bincount(timed["status"], minlength=1 << 16)
        came = (block["last_ns"] >= window.begin_ns) & (block["last_ns"] < window.end_ns)
        in_time += int(np.count_nonzero(came & np.isin(block["outcome"], SUCCESSES)))
    by_outcome = {outcome: int(outcomes[outcome]) for outcome in Outcome if outcomes[outcome]}
    return by_outcome, {int(status): int(statuses[status]) for status in np.flatnonzero(statuses)}, in_time


def _describe_client(run: PacerRun, machine: MachineUse) -> dict[str, float]:
    lag_ns = sorted(run.done.loop_lag_ns)
    known = {
        "cpu_s": run.done.cpu_s,
        "spun_s": run.done.spun_s,
        "rss_bytes": float(run.done.rss_bytes),
        "reasked": float(run.done.reasked),
        "doubled": float(run.done.doubled),
        "in_flight_mean": run.done.in_flight_area_ns / find_window(run).length_ns,
        "loop_lag_p50_s": lag_ns[len(lag_ns) // 2] / 1e9 if lag_ns else None,
        "loop_lag_max_s": lag_ns[-1] / 1e9 if lag_ns else None,
        "steal_share": machine.steal_share,
        "steal_worst_share": machine.steal_worst_share,
        "runnable_p50": machine.runnable,
        "waited_s": run.done.window_waited_s,
    }
    return {name: value for name, value in known.items() if value is not None}
