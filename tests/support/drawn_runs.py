"""Runs of a pacer that were drawn, not made: samples of one server with a queue, and what a pacer would have told of them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from seatrial.load.driver import PacerRun
from seatrial.load.plan import Destination, Done, Plan, Ready
from seatrial.load.samples import NEVER, SAMPLE, Samples

START_NS = 5_000_000_000_000
MS = 1_000_000


def draw_queue(load: float, *, rate: int = 100, seconds: int = 20, stall_s: float = 0.0) -> Samples:
    """Samples of one server with a queue, constant service, Poisson arrivals; it stalls once, in the midst."""
    rng = np.random.default_rng(1)
    intended = np.sort(rng.integers(0, seconds * 10**9, rate * seconds))
    service = round(load * 1e9 / rate)
    free, ends = 0, []
    for each in intended:
        begin = max(int(each), free)
        if stall_s and seconds * 4 * 10**8 < begin < (seconds * 0.4 + stall_s) * 1e9:
            begin = int((seconds * 0.4 + stall_s) * 1e9)
        free = begin + service
        ends.append(free)
    samples = np.zeros(len(intended), SAMPLE)
    samples["intended_ns"] = START_NS + intended
    samples["sent_ns"] = samples["intended_ns"] + 10_000
    samples["last_ns"] = START_NS + np.array(ends) + 20_000
    samples["first_ns"] = samples["last_ns"]
    samples["connect_ns"] = NEVER
    samples["status"] = 200
    return samples


def make_run(samples: Samples, *, seconds: float = 20, done: dict[str, Any] | None = None, **plan: Any) -> PacerRun:
    end_ns = START_NS + int(seconds * 1e9)
    in_flight = np.minimum(samples["last_ns"], end_ns) - samples["sent_ns"]
    area = int(np.maximum(in_flight[samples["sent_ns"] != NEVER], 0).sum())
    told = Done(
        start_ns=START_NS,
        window_begin_ns=START_NS,
        window_end_ns=end_ns,
        end_ns=max(end_ns, int(samples["last_ns"].max())),
        scheduled=len(samples),
        sent=len(samples),
        connections_opened=10,
        in_flight_area_ns=area,
        loop_lag_ns=(MS // 2,) * int(seconds * 10),
        cpu_s=seconds,
        spun_s=seconds * 0.8,
        rss_bytes=50 << 20,
        clock_step_ns=0,
    )
    asked = Plan(
        destination=Destination(host="127.0.0.1", port=1),
        requests=(b"GET / HTTP/1.1\r\n\r\n",),
        cases=(0,),
        mode="open",
        duration_s=seconds,
    )
    return PacerRun(
        plan=msgspec.structs.replace(asked, **plan),
        ready=Ready(pid=1, connections=1, uvloop=""),
        done=msgspec.structs.replace(told, **(done or {})),
        samples=samples,
        answers=(),
    )


def change(samples: Samples, field: str, share: float, value: Any) -> Samples:
    changed = samples.copy()
    changed[field][:: round(1 / share)] = value
    return changed


CALM = draw_queue(0.5)
