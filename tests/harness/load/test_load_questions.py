"""Golden cases under load: what is sent, and what is made of each answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import orjson
import pytest

from seatrial.endpoint import Credentials, Endpoint
from seatrial.errors import UsageError
from seatrial.load.checking import check_answers
from seatrial.load.plan import Destination, DistinctAnswer, Plan
from seatrial.load.questions import PLACEHOLDER, Judgement, Questions, pick_cases
from seatrial.load.samples import NO_ANSWER, SAMPLE, Outcome
from seatrial.model import Case, Manifest, TensorSpec

MANIFEST = Manifest(
    name="m",
    version="1",
    inputs=(TensorSpec(name="x", datatype="INT64", shape=(-1,)),),
    outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
    entry="m:model",
    python="3.11",
    files={},
)
PLAN = Plan(destination=Destination(), requests=(b"",), cases=(0,), mode="open", duration_s=1.0)
WIRES = ("frame", "gradio-call", "gradio-run", "mlflow", "sagemaker", "v2")


def make_case(number: int) -> Case:
    return Case(name=f"c{number}", inputs={"x": np.array([number])}, outputs={"y": np.array([number * 10])})


CASES = tuple(make_case(number) for number in range(5))


def make_questions(wire: str, **changes: object) -> Questions:
    address = "unix:/nowhere" if wire == "frame" else "http://127.0.0.1:9"
    endpoint = Endpoint(address=address, wire=wire, path="loopback", name="m")
    return Questions(**{"endpoint": endpoint, "manifest": MANIFEST, "cases": CASES, **changes})


def write_answer(wire: str, value: int) -> bytes:
    """The body of an answer, as a pacer records it."""
    bodies = {
        "v2": {"outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [value]}]},
        "sagemaker": {"outputs": {"y": [value]}},
        "mlflow": {"predictions": [value]},
        "gradio-run": {"data": [{"outputs": {"y": [value]}}], "duration": 0.1},
        "frame": {"outputs": {"y": {"shape": [1], "data": [value]}}},
        "gradio-call": [{"outputs": {"y": [value]}}],
    }
    body = orjson.dumps(bodies[wire])
    return b"event: complete\ndata: " + body + b"\n\n" if wire == "gradio-call" else body


def make_answer(body: bytes, case: int = 0, index: int = 0, status: int = 200) -> DistinctAnswer:
    return DistinctAnswer(
        index=index,
        case=case,
        status=status,
        sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
        body=body,
        content_type="application/json",
    )


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_is_judged_as_its_wire_reads_it(wire: str) -> None:
    questions = make_questions(wire)

    assert questions.judge(make_answer(write_answer(wire, 20), case=2)) == Judgement(outcome=Outcome.ANSWERED)
    wrong = questions.judge(make_answer(write_answer(wire, 21), case=2))
    assert wrong.outcome is Outcome.WRONG
    assert "case c2: output y: 1 of 1 elements wrong" in wrong.message
    assert not wrong.mixed_up


@pytest.mark.parametrize("wire", WIRES)
def test_the_answer_of_another_case_is_mixed_up(wire: str) -> None:
    judged = make_questions(wire).judge(make_answer(write_answer(wire, 30), case=2))

    assert judged.outcome is Outcome.WRONG
    assert judged.mixed_up
    assert "it is the answer of case c3" in judged.message


@pytest.mark.parametrize("wire", WIRES)
def test_what_the_wire_cannot_read_is_wrong(wire: str) -> None:
    body = b"event: complete\ndata: [NaN]\n\n" if wire == "gradio-call" else b"[NaN]"

    judged = make_questions(wire).judge(make_answer(body))

    assert judged.outcome is Outcome.WRONG
    assert judged.message.startswith("malformed")


@pytest.mark.parametrize(
    ("wire", "body"), [("frame", b'{"error": "no"}'), ("gradio-call", b'event: error\ndata: "no"\n\n')]
)
def test_an_answer_that_says_it_is_none_is_refused(wire: str, body: bytes) -> None:
    assert make_questions(wire).judge(make_answer(body)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("wire", WIRES)
def test_requests_are_written_once_and_differ(wire: str) -> None:
    plan = make_questions(wire).fill(PLAN)

    assert len(set(plan.requests)) == len(plan.requests) == len(CASES)
    assert plan.cases == tuple(range(len(CASES)))
    assert (plan.follow_up is not None) == (wire == "gradio-call")
    if plan.follow_up is not None:
        assert plan.follow_up.request.startswith(b"GET /gradio_api/call/m/" + PLACEHOLDER + b" HTTP/1.1\r\n")


def test_a_connection_a_request_says_so() -> None:
    plan = make_questions("gradio-call", reconnect=True).fill(PLAN)

    assert plan.reconnect
    assert plan.follow_up is not None
    for request in (*plan.requests, plan.follow_up.request):
        assert request.partition(b"\r\n\r\n")[0].endswith(b"\r\nConnection: close")


def test_signatures_are_made_anew() -> None:
    endpoint = Endpoint(
        address="http://127.0.0.1:9",
        wire="sagemaker",
        path="emulator",
        name="e",
        credentials=Credentials(access_key="AKIA", secret_key="s"),
    )
    questions = make_questions("sagemaker", endpoint=endpoint)

    assert questions.expires
    assert b"Authorization: AWS4-HMAC-SHA256" in questions.write_request(0)
    assert not make_questions("v2").expires


def test_another_machine_is_loaded_only_when_it_is_named() -> None:
    endpoint = Endpoint(address="http://192.0.2.1:80", wire="v2", path="remote", name="m")

    with pytest.raises(UsageError, match="is not this machine"):
        make_questions("v2", endpoint=endpoint).fill(PLAN)
    assert make_questions("v2", endpoint=endpoint, allowed=("192.0.2.1",)).fill(PLAN).destination.host == "192.0.2.1"


def test_of_cases_with_like_answers_the_first_is_asked() -> None:
    twin = Case(name="twin", inputs={"x": np.array([99])}, outputs={"y": np.array([10])})

    assert [case.name for case in pick_cases([*CASES, twin], MANIFEST)] == [case.name for case in CASES]


def test_every_request_that_got_a_wrong_answer_is_marked(tmp_path: Path) -> None:
    """Right, wrong, another's, one whose body was not kept, and requests that never got an answer."""
    questions = make_questions("v2")
    answers = [
        make_answer(write_answer("v2", 10), case=1, index=0),
        make_answer(write_answer("v2", 11), case=1, index=1),
        make_answer(write_answer("v2", 20), case=1, index=2),
        DistinctAnswer(index=3, case=1, status=200, sha256="", size_bytes=9, body=None),
        make_answer(b"no", case=1, index=4, status=503),
    ]
    rng = np.random.default_rng(1)
    samples = np.zeros(200_000, SAMPLE)
    samples["answer"] = rng.integers(0, 5, len(samples))
    samples["outcome"][samples["answer"] == 4] = Outcome.REFUSED
    samples["answer"][:10] = NO_ANSWER
    samples["outcome"][:10] = Outcome.TIMED_OUT
    path = tmp_path / "samples.bin"
    path.write_bytes(samples.tobytes() + b"cut off")

    checked = check_answers(path, answers, questions.judge)

    counts = [int(np.count_nonzero(samples["answer"] == index)) for index in range(5)]
    assert (checked.right, checked.wrong, checked.unchecked) == (counts[0], counts[1] + counts[2], counts[3])
    assert (checked.mixed_up, checked.refused) == (counts[2], 0)
    assert [example.partition(":")[0] for example in checked.examples] == ["case c1", "case c1"]
    marked = np.frombuffer(path.read_bytes()[: samples.nbytes], SAMPLE)
    expected = samples["outcome"].copy()
    expected[np.isin(samples["answer"], (1, 2))] = Outcome.WRONG
    assert np.array_equal(marked["outcome"], expected)
    unchanged = [name for name in SAMPLE.names or () if name != "outcome"]
    assert np.array_equal(marked[unchanged], samples[unchanged])
