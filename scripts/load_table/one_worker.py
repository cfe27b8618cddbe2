"""One worker that serves one request after another: each request's response time, beside what the law says of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from load_table.row import Options, Reading
from load_table.running import Measured, measure, measure_valid
from seatrial.load.arrivals import Poisson
from seatrial_fixtures.specimens.behaviour import Behaviour, Exponential, Fixed, Service, Stall, draw_services

SERVICE_S = 0.005
STALL_S = 1.0
WITHIN_NS = 1_000_000
MUST = "each response time within 1 ms of Lindley's recursion on the realised sends, or of the server's own log"
LAWS: dict[str, Service] = {"M/D/1": Fixed(seconds=SERVICE_S), "M/M/1": Exponential(mean_s=SERVICE_S)}


def measure_one_worker(options: Options) -> Iterator[Reading]:
    """M/D/1 and M/M/1 at 50 and 70 % load, with a stall of 1 s in the midst."""
    duration_s = options.choose(30.0, 10.0)
    runs = [(law, load) for law in LAWS for load in (0.5, 0.7)]
    found: dict[tuple[str, float], list[tuple[int, Measured]]] = {each: [] for each in runs}
    for seed in range(1, options.repeats + 1):
        for law, load in runs:
            measured = measure_valid(options, f"{law} at {load:.0%}", lambda: _run(law, load, duration_s, seed))  # noqa: B023
            if measured is not None:
                found[law, load].append((seed, measured))
    for (law, load), measurements in found.items():
        yield _read(law, load, duration_s, measurements)


def follow_lindley(
    sent_ns: npt.NDArray[np.int64], services_ns: npt.NDArray[np.int64], stall_ns: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Return when each request is answered: it begins at the later of its arrival and the end of the one before, and what would
    end in the stall ends with it (Lindley, The theory of queues with a single server, 1952).
    """
    ends, free = np.empty_like(sent_ns), 0
    for k, (sent, service) in enumerate(zip(sent_ns.tolist(), services_ns.tolist(), strict=True)):
        free = max(sent, free) + service
        free = stall_ns[1] if stall_ns[0] <= free < stall_ns[1] else free
        ends[k] = free
    return ends


def _run(law: str, load: float, duration_s: float, seed: int) -> Measured:
    stall = Stall(at_s=duration_s / 3, length_s=STALL_S)
    behaviour = Behaviour(service=LAWS[law], workers=1, stalls=(stall,), seed=seed)
    return measure(behaviour, Poisson(rate=load / SERVICE_S), duration_s=duration_s, seed=seed)


def _find_errors(
    measured: Measured, law: str, duration_s: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how far each response time is off Lindley's, and off the server's own log; nanoseconds."""
    order = np.argsort(measured.served["arrived_ns"], kind="stable")
    samples, served = measured.samples[order], measured.served[order]
    begin_ns = int(served["arrived_ns"][0]) + int(duration_s / 3 * 1e9)
    stall_ns = (begin_ns, begin_ns + int(STALL_S * 1e9))
    ends_ns = follow_lindley(samples["sent_ns"], draw_services(LAWS[law], seed, len(samples)), stall_ns)
    return samples["last_ns"] - ends_ns, samples["last_ns"] - served["written_ns"]


def _read(law: str, load: float, duration_s: float, measurements: list[tuple[int, Measured]]) -> Reading:
    within: dict[str, list[float]] = {"Lindley": [], "own log": []}
    largest = dict.fromkeys(within, 0)
    for seed, measured in measurements:
        for name, errors in zip(within, _find_errors(measured, law, duration_s, seed), strict=True):
            within[name].append(float(np.mean(np.abs(errors) <= WITHIN_NS)))
            largest[name] = max(largest[name], int(np.abs(errors).max()))
    shown = [
        f"{name}: {np.mean(shares):.3%} within 1 ms, the farthest {largest[name] / 1e6:.2f} ms"
        for name, shares in within.items()
        if shares
    ]
    return Reading(
        what=f"one worker, {law} at {load:.0%} with a stall of {STALL_S:g} s, {load / SERVICE_S:g}/s",
        must=MUST,
        reached=f"{'; '.join(shown)} ({len(measurements)} valid runs)" if shown else "no valid run",
        met=any(shares and min(shares) == 1.0 for shares in within.values()),
        figures={f"{name} farthest_s": value / 1e9 for name, value in largest.items()} if shown else {},
    )
