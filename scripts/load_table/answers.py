"""Answers that are wrong, swapped or cached, from a known list: each is found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from load_table.row import Options, Reading
from seatrial.endpoint import Endpoint
from seatrial.load.arrivals import Poisson
from seatrial.load.measuring import measure_load
from seatrial.load.plan import SAMPLES_FILE, Destination, Plan
from seatrial.load.questions import Questions
from seatrial.load.samples import Outcome, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.specimen import Given
from seatrial.model import Case, Manifest, TensorSpec
from seatrial_fixtures.specimens.behaviour import Behaviour, Fault, Fixed
from seatrial_fixtures.specimens.process import serve

RATE = 400.0
QUESTIONS = 200
EVERY = 37
NUMBER = 123456789
ANSWER = b'{"model_name":"nonce","outputs":[{"name":"answer","datatype":"INT64","shape":[1],"data":[%d]}]}' % NUMBER
KINDS = ("wrong", "swapped", "cached")
MANIFEST = Manifest(
    name="nonce",
    version="1",
    inputs=(TensorSpec(name="number", datatype="INT64", shape=(-1,)),),
    outputs=(TensorSpec(name="answer", datatype="INT64", shape=(-1,)),),
    entry="",
    python="",
    files={},
)


def measure_answers(options: Options) -> Iterator[Reading]:
    """Specimens inject them by the number of the request, and their log says which they were.

    Every run counts, whatever its verdict: one whose times are no measurement must find them all the same.
    """
    duration_s = options.choose(10.0, 2.0)
    found_all, told = True, []
    for kind in KINDS:
        pairs = [find_injected(kind, duration_s, seed) for seed in range(1, options.repeats + 1)]
        found_all = found_all and all(found == injected and injected for found, injected in pairs)
        told.append(f"{kind} {', '.join(f'{len(found)} of {len(injected)}' for found, injected in pairs)}")
        options.tell(told[-1])
    yield Reading(
        what="wrong, swapped or cached answers injected from a known list, request by request",
        must="found = injected, every run",
        reached="; ".join(told),
        met=found_all,
    )


def find_injected(kind: str, duration_s: float, seed: int) -> tuple[set[int], set[int]]:
    """Return the intended sends of requests that were found wrong, and of those whose answer was injected; nanoseconds."""
    behaviour = Behaviour(service=Fixed(seconds=0.002), faults=(Fault(kind=kind, every=EVERY),))  # type: ignore[arg-type]
    schedule = make_schedule(Poisson(rate=RATE), duration_s=duration_s, seed=seed)
    cases = tuple(
        Case(name=str(number), inputs={"number": np.array([number])}, outputs={"answer": np.array([number])})
        for number in range(QUESTIONS)
    )
    with serve(behaviour) as specimen, tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory:
        endpoint = Endpoint(address=specimen.url.rstrip("/"), wire="v2", path="loopback", name="nonce")
        plan = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=duration_s, connections=8)
        questions = Questions(endpoint=endpoint, manifest=MANIFEST, cases=cases)
        measure_load(plan, schedule, directory=Path(directory), questions=questions)
        samples = np.sort(np.array(read_samples(Path(directory) / SAMPLES_FILE)), order="sent_ns")
        served = np.sort(specimen.read_log(), order="arrived_ns")
    found = samples[samples["outcome"] == Outcome.WRONG]
    # Of a question that was asked many times, the k-th to be sent is the k-th to arrive: none is in flight twice.
    injected: set[int] = set()
    for question in range(QUESTIONS):
        mine, theirs = samples[samples["case"] == question], served[served["question"] == question]
        struck = (theirs["given"] != Given.RIGHT) & (theirs["answer"] != theirs["question"])
        injected |= set(mine["intended_ns"][struck].tolist())
    return set(found["intended_ns"].tolist()), injected
