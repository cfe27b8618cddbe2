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
CRITERIA = ("Lindley", "own log")
LATENESS = "the server later than its own law"
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


def _find_errors(measured: Measured, law: str, duration_s: float, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return how far each response time is off Lindley's, and off the server's own log, and how late the server was by its own
    law; nanoseconds.
    """
    order = np.argsort(measured.served["arrived_ns"], kind="stable")
    samples, served = measured.samples[order], measured.served[order]
    begin_ns = int(served["arrived_ns"][0]) + int(duration_s / 3 * 1e9)
    stall_ns = (begin_ns, begin_ns + int(STALL_S * 1e9))
    ends_ns = follow_lindley(samples["sent_ns"], draw_services(LAWS[law], seed, len(samples)), stall_ns)
    return {
        "Lindley": samples["last_ns"] - ends_ns,
        "own log": samples["last_ns"] - served["written_ns"],
        LATENESS: served["written_ns"] - served["due_ns"],
    }


def _read(law: str, load: float, duration_s: float, runs: list[tuple[int, Measured]]) -> Reading:
    what = f"one worker, {law} at {load:.0%} with a stall of {STALL_S:g} s, {load / SERVICE_S:g}/s"
    if not runs:
        return Reading(what=what, must=MUST, reached="no valid run", met=False)
    errors = [_find_errors(measured, law, duration_s, seed) for seed, measured in runs]
    within = {name: min(float(np.mean(np.abs(each[name]) <= WITHIN_NS)) for each in errors) for name in errors[0]}
    largest = {name: max(int(np.abs(each[name]).max()) for each in errors) for name in errors[0]}
    lateness = largest[LATENESS] / 1e6
    shown = [f"{name}: {within[name]:.2%}, the farthest {largest[name] / 1e6:.2f} ms off" for name in CRITERIA]
    return Reading(
        what=what,
        must=MUST,
        reached=f"{'; '.join(shown)}; {LATENESS}: up to {lateness:.2f} ms (the worst of {len(runs)} valid runs)",
        met=any(within[name] == 1.0 for name in CRITERIA),
        figures={name: value / 1e9 for name, value in largest.items()},
    )
