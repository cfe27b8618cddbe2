"""How late requests are sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from statistics import median

import numpy as np

from load_table.holdups import HELD_UP_ALLOWED, HoldUps
from load_table.nginx import find_program, serve_nginx
from load_table.row import Options, Reading
from load_table.running import Measured, measure_valid, put_load
from load_table.verdicts import are_enough
from seatrial.load.address import resolve
from seatrial.load.arrivals import Poisson
from seatrial.load.lateness import measure_lags
from seatrial.load.quantiles import find_quantile
from seatrial_fixtures.specimens.behaviour import Behaviour
from seatrial_fixtures.specimens.process import serve
from seatrial_fixtures.specimens.wording import write_request

RATES = (500.0, 10_000.0)
QUESTIONS = 100
ANSWER = '{"outputs":[]}'
# A watcher that wakes more often would itself be what 10,000 requests a second wait for.
HOLD_UP_PAUSE_S, HOLD_UP_LATE_S = 0.0005, 0.0004
_GROWTH_ALLOWED_S = 50e-6


def measure_lag(options: Options) -> Iterator[Reading]:
    """Poisson arrivals at 500/s and at 10,000/s, in turn."""
    duration_s = options.choose(20.0, 5.0)
    found: dict[float, list[dict[str, float]]] = {rate: [] for rate in RATES}
    for repeat in range(options.repeats):
        for rate in RATES:
            with HoldUps(pause_s=HOLD_UP_PAUSE_S, late_s=HOLD_UP_LATE_S) as hold_ups:
                measured = measure_valid(options, f"{rate:,.0f}/s", lambda: _run(rate, duration_s, repeat + 1))  # noqa: B023
            if measured is not None:
                found[rate].append(_read_lags(measured, hold_ups))
    yield from judge(found, options.repeats)


def judge(found: Mapping[float, list[dict[str, float]]], repeats: int) -> Iterator[Reading]:
    """Return the line of each rate, from figures of its valid runs."""
    slow, quick = (_take_medians(found[rate]) for rate in RATES)
    told = {rate: are_enough(len(found[rate]), repeats) and _is_told(_take_medians(found[rate])) for rate in RATES}
    yield Reading(
        what="dispatch lag at 500/s",
        must="p50 <= 20 us, p99 <= 500 us on a quiet 2-core machine",
        reached=_show(slow, len(found[RATES[0]]), repeats),
        met=told[RATES[0]] and slow["p50"] <= 20e-6 and slow["free_p99"] <= 500e-6,
        figures=dict(slow),
    )
    yield Reading(
        what="dispatch lag at 10,000/s",
        must="p99 <= 200 us and not growing: the median of the last tenth at most 50 us above that of the first",
        reached=_show(quick, len(found[RATES[1]]), repeats),
        met=told[RATES[1]] and quick["free_p99"] <= 200e-6 and quick["growth"] <= _GROWTH_ALLOWED_S,
        figures=dict(quick),
    )


def _is_told(medians: dict[str, float]) -> bool:
    """Whether the machine let the client run, so that its lag can be told."""
    return bool(medians) and medians["held_up"] <= HELD_UP_ALLOWED


def _run(rate: float, duration_s: float, seed: int) -> Measured:
    """Against nginx where it is installed: it needs less of the machine than a specimen, and the client is what is looked at."""
    with contextlib.ExitStack() as stack:
        if find_program("nginx") is None:
            destination = stack.enter_context(serve(Behaviour())).destination
        else:
            url = stack.enter_context(serve_nginx(ANSWER))
            destination = resolve(url).destination
        requests = tuple(write_request(number) for number in range(QUESTIONS))
        return put_load(destination, requests, Poisson(rate=rate), duration_s=duration_s, seed=seed)


def _read_lags(measured: Measured, hold_ups: HoldUps) -> dict[str, float]:
    """Return figures of all sends, and of those that were not due while the machine let nobody run on a CPU."""
    lag = measured.result.dispatch_lag_s
    in_order = np.sort(measured.samples, order="intended_ns")
    held_up = hold_ups.touch(in_order["intended_ns"], in_order["sent_ns"])
    free = find_quantile(measure_lags(in_order[~held_up]), 0.99)
    tenth = max(len(in_order) // 10, 1)
    first, last = (float(np.median(measure_lags(part))) / 1e9 for part in (in_order[:tenth], in_order[-tenth:]))
    assert lag.p50 is not None
    assert lag.p99 is not None
    assert lag.max is not None
    assert free is not None
    figures = {"p50": lag.p50, "p99": lag.p99, "max": lag.max, "growth": last - first}
    return {**figures, "free_p99": free / 1e9, "held_up": float(np.mean(held_up))}


def _take_medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(each[name] for each in found) for name in found[0]} if found else {}


def _show(medians: dict[str, float], count: int, repeats: int) -> str:
    if not medians:
        return f"no valid run of {repeats}"
    times = {name: f"{medians[name] * 1e6:.0f} us" for name in ("p50", "p99", "max", "growth", "free_p99")}
    return (
        f"p50 {times['p50']}, p99 {times['free_p99']} where the machine held nobody up; with the {medians['held_up']:.1%} it "
        f"did, p99 {times['p99']}, max {times['max']}; growth {times['growth']} (medians of {count} valid runs of {repeats})"
    )
