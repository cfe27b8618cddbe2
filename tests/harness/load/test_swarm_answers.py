"""Golden answers through Locust: every answer of every worker is compared, and what was injected is found, in every place."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from seatrial.endpoint import Credentials, Endpoint
from seatrial.load.arrivals import Constant
from seatrial.load.plan import Destination, Plan
from seatrial.load.questions import Questions, pick_cases
from seatrial.load.result import LoadResult
from seatrial.load.samples import Outcome, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.slices import slice_responses
from seatrial.load.specimen import Given, Served
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.launch import run_swarm
from seatrial.load.swarm.messages import decode_golden, encode_golden
from seatrial.load.tally import Tally
from seatrial.load.window import Window
from seatrial.model import Case
from seatrial_fixtures.models.nonce import NUMBERS
from seatrial_fixtures.specimens.behaviour import Behaviour, Fault, Fixed
from seatrial_fixtures.specimens.process import serve
from signed_server import MANIFEST, SECRET, serve_signed

pytestmark = pytest.mark.timeout(200)
CASES = tuple(
    Case(name=f"n{number}", inputs={"number": np.array([number])}, outputs={"answer": np.array([number])})
    for number in NUMBERS
)
PLAN = Plan(
    destination=Destination(), requests=(b"",), cases=(0,), mode="open", duration_s=2.0, timeout_s=5.0, drain_s=5.0
)
LAW, REQUESTS = Constant(rate=300.0), 600
WRONG, SWAPPED, CACHED = (3, 50, 51, 52, 120, 333), (20, 77, 78, 200, 301, 302, 399), (100, 400, 500, 501, 599)
FAULTS = (
    Fault(kind="wrong", numbers=WRONG),
    Fault(kind="swapped", numbers=SWAPPED),
    Fault(kind="cached", numbers=CACHED),
    Fault(kind="failed", every=40),
)


def make_questions(port: int) -> Questions:
    endpoint = Endpoint(address=f"http://127.0.0.1:{port}", wire="v2", path="loopback", name="nonce")
    return Questions(endpoint=endpoint, manifest=MANIFEST, cases=pick_cases(CASES, MANIFEST))


@dataclass(frozen=True)
class Swarm:
    """What a run of two workers on a server with known faults left, and what that server did."""

    result: LoadResult
    served: Served
    samples: Samples
    directory: Path

    def read_csv(self, name: str) -> list[dict[str, str]]:
        with (self.directory / f"out_{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def count(self, given: Given) -> int:
        return int(np.count_nonzero(self.served["given"] == given))

    @property
    def injected(self) -> Served:
        """What was answered wrong: an old answer to the very question that it answers is right."""
        whole = np.isin(self.served["given"], (Given.RIGHT, Given.WRONG, Given.SWAPPED, Given.CACHED))
        return self.served[whole & (self.served["question"] != self.served["answer"])]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Swarm:
    directory = tmp_path_factory.mktemp("answers")
    with serve(Behaviour(service=Fixed(seconds=0.002), faults=FAULTS)) as specimen:
        result = run_swarm(
            PLAN,
            LAW,
            workers=2,
            directory=directory,
            questions=make_questions(specimen.port),
            locust_options=("--csv", str(directory / "out")),
        )
        served = specimen.read_log()
    samples = np.concatenate([read_samples(directory / f"worker-{worker}" / "samples.bin") for worker in range(2)])
    return Swarm(result, served, samples, directory)


def test_found_is_what_was_injected(swarm: Swarm) -> None:
    assert (swarm.count(Given.WRONG), swarm.count(Given.SWAPPED)) == (len(WRONG), len(SWAPPED))
    assert 1 <= swarm.count(Given.CACHED) <= len(CACHED), "an old answer to the very question is a right one"
    assert swarm.result.checked
    assert swarm.result.requests == len(swarm.served) == REQUESTS
    assert swarm.result.wrong == len(swarm.injected)
    assert swarm.result.mixed_up == len(swarm.injected) - len(WRONG)
    assert 1 <= len(swarm.result.examples) <= 5
    assert swarm.result.outcomes == {
        "answered": REQUESTS - len(swarm.injected) - swarm.count(Given.FAILED),
        "wrong": len(swarm.injected),
        "refused": swarm.count(Given.FAILED),
    }


def test_they_are_the_very_requests(swarm: Swarm) -> None:
    """By question and time, of the server's log and of the workers' samples."""
    injected = swarm.injected
    found = swarm.samples[swarm.samples["outcome"] == Outcome.WRONG]

    assert sorted(NUMBERS[case] for case in found["case"]) == sorted(injected["question"].tolist())
    for each in injected:
        within = (found["sent_ns"] <= each["arrived_ns"]) & (found["first_ns"] >= each["written_ns"] - 1_000_000)
        assert int(each["question"]) in {NUMBERS[case] for case in found["case"][within]}


def test_they_are_failures_in_locusts_files_too(swarm: Swarm) -> None:
    rows = {row["Name"]: row for row in swarm.read_csv("stats")}
    path = "/v2/models/nonce/infer"
    wrong, failed = swarm.result.wrong, swarm.count(Given.FAILED)

    counts = {name: (int(row["Request Count"]), int(row["Failure Count"])) for name, row in rows.items()}
    assert counts == {
        path: (REQUESTS, wrong + failed),
        f"{path} (failed)": (wrong + failed, wrong + failed),
        "Aggregated": (REQUESTS, wrong + failed),
    }
    failures = {row["Error"]: int(row["Occurrences"]) for row in swarm.read_csv("failures")}
    assert failures == {"wrong, status 200": wrong, "refused, status 500": failed}


def test_they_are_above_all_times_of_right_answers(swarm: Swarm) -> None:
    """The merged histograms are those of the samples as they were marked, bit for bit."""
    marked = Tally()
    marked.add(swarm.samples)
    reported = SwarmFiles(swarm.directory).read_tally()

    assert reported.encode() == marked.encode()
    failed = swarm.result.wrong + swarm.count(Given.FAILED)
    assert (reported.series["response"].count, reported.series["response"].beyond) == (REQUESTS, failed)
    assert reported.series["failure"].count == failed


def test_intervals_are_those_of_all_samples_together(swarm: Swarm) -> None:
    """The workers' slices are of one window, which began at the same time for both."""
    first_ns = make_schedule(LAW, duration_s=PLAN.duration_s, seed=1).offsets_ns[0]
    begin_ns = int(swarm.samples["intended_ns"].min() - first_ns)
    window = Window(begin_ns=begin_ns, end_ns=begin_ns + int(PLAN.duration_s * 1e9))
    interval = slice_responses(swarm.samples, window).find_interval(0.5)

    assert interval is not None
    if swarm.result.valid:  # else this machine was too busy to measure, and there are no times
        assert swarm.result.intervals["p50"] == interval
        assert interval.low <= (swarm.result.response_time_s.p50 or 0.0) <= interval.high


def test_golden_cases_come_through_a_wire_and_keys_do_not() -> None:
    keys = Credentials(access_key="AKIA", secret_key="very secret")
    endpoint = Endpoint(
        address="http://127.0.0.1:9", wire="sagemaker", path="emulator", name="e", headers={"X": "y"}, credentials=keys
    )
    questions = Questions(endpoint=endpoint, manifest=MANIFEST, cases=CASES)
    data = msgspec.msgpack.encode(encode_golden(questions))
    decoded = decode_golden(msgspec.msgpack.decode(data, type=type(encode_golden(questions))))

    assert b"secret" not in data
    assert (decoded.endpoint.name, decoded.endpoint.credentials, decoded.manifest) == ("e", None, MANIFEST)
    for case, sent in zip(decoded.cases, CASES, strict=True):
        assert case.name == sent.name
        assert (case.outputs["answer"] == sent.outputs["answer"]).all()
        assert case.outputs["answer"].dtype == np.int64


def test_signatures_are_renewed_by_who_has_the_keys(tmp_path: Path) -> None:
    """On every worker, while it sends; and no file that Locust reads has the keys in it."""
    with serve_signed() as server:
        questions = Questions(endpoint=server.endpoint, manifest=MANIFEST, cases=CASES[:1] * 2)
        plan = msgspec.structs.replace(PLAN, duration_s=6.0, connections=2)
        result = run_swarm(plan, Constant(rate=20.0), workers=2, directory=tmp_path, questions=questions)

    assert (result.checked, result.outcomes) == (True, {"answered": 120})
    signed = dict[int, set[str]]()
    for connection, date in server.seen:
        signed.setdefault(connection, set()).add(date)
    assert sum(len(dates) >= 2 for dates in signed.values()) >= 2, signed
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
