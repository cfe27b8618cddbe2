"""One worker that serves one request after another: each request's response time, beside what the law says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from load_table.holdups import HELD_UP_ALLOWED, HoldUps
from load_table.row import Options, Reading
from load_table.running import Measured, measure, measure_valid
from load_table.verdicts import are_enough
from seatrial.load.arrivals import Poisson
from seatrial_fixtures.specimens.behaviour import Behaviour, Exponential, Fixed, Service, Stall, draw_services

SERVICE_S = 0.005
STALL_S = 1.0
WITHIN_NS = 1_000_000
# Hold-ups come in bursts: two of nearly WITHIN_NS that are overlooked would be taken for the client's doing.
HOLD_UP_PAUSE_S, HOLD_UP_LATE_S = 0.0002, 0.00015
MUST = "each response time within 1 ms of the server's own log, where the machine held nobody up"
LAWS: dict[str, Service] = {"M/D/1": Fixed(seconds=SERVICE_S), "M/M/1": Exponential(mean_s=SERVICE_S)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of one run, nanoseconds, a request each: how far its response time is off, and whether the machine held it up."""

    lindley_ns: npt.NDArray[np.int64]
    own_log_ns: npt.NDArray[np.int64]
    server_late_ns: npt.NDArray[np.int64]
    held_up: npt.NDArray[np.bool_]


def measure_one_worker(options: Options) -> Iterator[Reading]:
    """M/D/1 and M/M/1 at 50 and 70 % load, with a stall of 1 s in the midst."""
    duration_s = options.choose(30.0, 10.0)
    runs = [(law, load) for law in LAWS for load in (0.5, 0.7)]
    found: dict[tuple[str, float], list[Errors]] = {each: [] for each in runs}
    for seed in range(1, options.repeats + 1):
        for law, load in runs:
            with HoldUps(pause_s=HOLD_UP_PAUSE_S, late_s=HOLD_UP_LATE_S) as hold_ups:
                measured = measure_valid(options, f"{law} at {load:.0%}", lambda: _run(law, load, duration_s, seed))  # noqa: B023
            if measured is not None:
                found[law, load].append(_find_errors(measured, hold_ups, law, duration_s, seed))
    for (law, load), errors in found.items():
        yield judge(law, load, errors, options.repeats)


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
    behaviour = Behaviour(service=LAWS[law], workers=1, stalls=(stall,), real_time=True, seed=seed)
    return measure(behaviour, Poisson(rate=load / SERVICE_S), duration_s=duration_s, seed=seed)


def _find_errors(measured: Measured, hold_ups: HoldUps, law: str, duration_s: float, seed: int) -> Errors:
    order = np.argsort(measured.served["arrived_ns"], kind="stable")
    samples, served = measured.samples[order], measured.served[order]
    begin_ns = int(served["arrived_ns"][0]) + int(duration_s / 3 * 1e9)
    stall_ns = (begin_ns, begin_ns + int(STALL_S * 1e9))
    ends_ns = follow_lindley(samples["sent_ns"], draw_services(LAWS[law], seed, len(samples)), stall_ns)
    # From when the answer was due: what was late before it, the server's own log knows of.
    held_up = hold_ups.touch(served["due_ns"], samples["last_ns"])
    return Errors(
        lindley_ns=np.abs(samples["last_ns"] - ends_ns),
        own_log_ns=np.abs(samples["last_ns"] - served["written_ns"]),
        server_late_ns=served["written_ns"] - served["due_ns"],
        held_up=held_up,
    )


def judge(law: str, load: float, runs: list[Errors], repeats: int) -> Reading:
    """Return the line of a law at a load, from its valid runs."""
    what = f"one worker, {law} at {load:.0%} with a stall of {STALL_S:g} s, {load / SERVICE_S:g}/s"
    if not runs:
        return Reading(what=what, must=MUST, reached=f"no valid run of {repeats}", met=False)
    lindley, own, late, held_up = (
        np.concatenate([getattr(each, field.name) for each in runs]) for field in dataclasses.fields(Errors)
    )
    free = ~held_up
    missed, missed_held = (int(np.count_nonzero(own[which] > WITHIN_NS)) for which in (free, held_up))
    return Reading(
        what=what,
        must=MUST,
        reached=f"own log: {missed} of {np.count_nonzero(free)} requests off by over 1 ms, the farthest "
        f"{own[free].max() / 1e6:.2f} ms, and {missed_held} of the {np.count_nonzero(held_up)} that were under way while the "
        f"machine let nobody run on a CPU, the farthest {own.max() / 1e6:.2f} ms; Lindley: "
        f"{np.mean(lindley <= WITHIN_NS):.2%} of all within 1 ms, the server later than its own law by up to "
        f"{late.max() / 1e6:.2f} ms ({len(runs)} valid runs of {repeats})",
        met=are_enough(len(runs), repeats) and missed == 0 and float(np.mean(held_up)) <= HELD_UP_ALLOWED,
        figures={
            "own_log_s": float(own[free].max()) / 1e9,
            "own_log_all_s": float(own.max()) / 1e9,
            "lindley_s": float(lindley.max()) / 1e9,
            "held_up_share": float(np.mean(held_up)),
        },
    )
