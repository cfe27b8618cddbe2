"""What a network path costs by itself: the cheapest question, asked on the path and on the host's own network.

Both are asked at the same time, by a pacer each, so that what else goes on in the machine meets both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import numpy as np

from seatrial.load.address import compose_request, resolve
from seatrial.load.measuring import measure_load
from seatrial.load.plan import SAMPLES_FILE, Plan
from seatrial.load.quantiles import FOREVER_NS, Times, find_quantile
from seatrial.load.ranking import is_ranked, rank_times
from seatrial.load.repeating import repeat_while_invalid
from seatrial.load.samples import read_samples
from seatrial.load.schedules import make_schedule, parse_arrivals
from seatrial.records import FloorLegRecord, FloorRecord
from seatrial.target import Deployment, open_floor
from seatrial.trial.measuring import make_directory

if TYPE_CHECKING:
    from seatrial.trial.trial import Trial

WINDOW_S: Final = 5.0
LONGEST_WINDOW_S: Final = 10.0
FEWEST: Final = 40
"""Requests on each way; at a low rate the window is longer for them, up to `LONGEST_WINDOW_S`."""
HIGHEST_RATE: Final = 100.0
"""Requests a second: above it the two pacers would spin, and take the CPUs from what they ask."""
WARM_UP_S: Final = 0.5
SEEDS: Final = (1, 2)
"""Of the two schedules: with one, each request would meet its counterpart."""
CONFIDENCE: Final = 0.95
_TIMEOUT_S: Final = 2.0
_REPEATS: Final = 1
_SCORE: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def measure_floor(
    trial: Trial, name: str, deployment: Deployment, rate: float, idle: Callable[[], None] = lambda: None
) -> FloorRecord:
    """Ask the cheapest question on a target's network path and on its floor, at the same rate and time, and record both.

    Raises:
        UnsupportedError: the deployment has no such floor, or not on this machine.
        SeatrialError: the machine did not come to rest, the floor did not come up, the pacer broke.
    """
    rate = min(rate, HIGHEST_RATE)
    window_s = min(max(WINDOW_S, FEWEST / rate), LONGEST_WINDOW_S)
    with ExitStack() as stack:
        with trial.lock.disturb(trial.say):
            floor = stack.enter_context(open_floor(deployment))
        with trial.lock.measure(trial.say), trial.fleet.hushed(name):
            idle()
            parent = trial.directory.path / "samples"
            legs = [
                _Leg(url=url, way=way, rate=rate, window_s=window_s, seed=seed, parent=parent, name=f"{name}-{kind}")
                for url, way, seed, kind in (
                    (floor.path_url, floor.path_way, SEEDS[0], "path"),
                    (floor.floor_url, floor.floor_way, SEEDS[1], "floor"),
                )
            ]
            tries = repeat_while_invalid(lambda: _measure(legs), lambda each: all(leg.valid for leg in each), _REPEATS)
    path_leg, floor_leg = tries[-1]
    record = compare_legs(
        path_leg,
        floor_leg,
        target=name,
        network_path=deployment.endpoint.path,
        question=f"GET {urlsplit(floor.path_url).path}",
        rate=rate,
    )
    trial.record(record)
    return record


def compare_legs(
    path: FloorLegRecord, floor: FloorLegRecord, *, target: str, network_path: str, question: str, rate: float
) -> FloorRecord:
    """Return both with what lies between their medians: as much as the two intervals allow, for they err apart."""
    return FloorRecord(
        target=target,
        network_path=network_path,
        question=question,
        rate=rate,
        path=path,
        floor=floor,
        cost_p50_s=_subtract(path.p50_s, floor.p50_s),
        cost_low_s=_subtract(path.p50_low_s, floor.p50_high_s),
        cost_high_s=_subtract(path.p50_high_s, floor.p50_low_s),
    )


def find_median_interval(times: Times) -> tuple[int, int] | None:
    """Return a confidence interval of the median of independent samples, nanoseconds; None of too few, and where it has no end.

    Its ends are order statistics whose ranks are those of a binomial count (Conover, Practical Nonparametric Statistics, 3.2).
    """
    count = len(times)
    half = _SCORE * math.sqrt(count) / 2
    low, high = math.floor(count / 2 - half) - 1, math.ceil(count / 2 + half)
    if low < 0 or high >= count:
        return None
    ordered = np.sort(times)
    return None if ordered[high] >= FOREVER_NS else (int(ordered[low]), int(ordered[high]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """One way, and how it is asked."""

    url: str
    way: str
    rate: float
    window_s: float
    seed: int
    parent: Path
    name: str


def _measure(legs: list[_Leg]) -> tuple[FloorLegRecord, ...]:
    directories = [make_directory(leg.parent, leg.name) for leg in legs]
    with ThreadPoolExecutor(len(legs)) as pool:
        return tuple(pool.map(_measure_leg, legs, directories))


def _measure_leg(leg: _Leg, directory: Path) -> FloorLegRecord:
    address = resolve(leg.url)
    plan = Plan(
        destination=address.destination,
        requests=(compose_request(address, method="GET", headers=(), body=b""),),
        mode="open",
        cases=(0,),
        duration_s=leg.window_s,
        warm_up_s=WARM_UP_S,
        timeout_s=_TIMEOUT_S,
        drain_s=_TIMEOUT_S,
        connections=4,
    )
    law = parse_arrivals("poisson", leg.rate, leg.window_s)
    schedule = make_schedule(law, duration_s=leg.window_s, seed=leg.seed)
    result = measure_load(plan, schedule, directory=directory, requested=leg.rate)
    times = _read_times(directory)
    interval = find_median_interval(times) if result.valid else None
    median = find_quantile(times, 0.5) if result.valid else None
    return FloorLegRecord(
        way=leg.way,
        valid=result.valid,
        reasons=tuple(reason.code for reason in result.reasons),
        requests=result.requests,
        p50_s=None if median is None or median >= FOREVER_NS else median / 1e9,
        p50_low_s=None if interval is None else interval[0] / 1e9,
        p50_high_s=None if interval is None else interval[1] / 1e9,
    )


def _read_times(directory: Path) -> Times:
    samples = read_samples(directory / SAMPLES_FILE)
    return rank_times(samples[is_ranked(samples)])


def _subtract(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
