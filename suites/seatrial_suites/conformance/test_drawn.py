"""Questions drawn by chance from the model's signature: every value that a datatype has is carried as it is, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, ModelDirectory, TensorSpec
from seatrial.registry import find_wire
from seatrial.target import Deployment
from seatrial.tensors import NUMPY_DTYPES
from seatrial.wire import Answer, RawQuestion, Refusal, RefusalKind
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.claims import read_claims
from seatrial_suites.conformance.drawing import describe_replay, find_wrong, read_seed
from seatrial_suites.conformance.echoing import find_echoes
from seatrial_suites.conformance.misshapen import bound, name_kind
from seatrial_suites.conformance.placing import join_cases, place
from seatrial_suites.conformance.reaching import MALFORMED, find_host
from seatrial_suites.conformance.refusing import (
    Outcome,
    ask_raw,
    ask_whole,
    describe,
    is_refused,
    say_after,
    show_exchange,
)
from seatrial_suites.conformance.values import draw_inputs, is_extreme, list_certain, list_edges, put_first

pytestmark = pytest.mark.conformance
DRAWN = 25
"""Questions for each tensor."""
_WITHOUT_NUMBER = frozenset({RefusalKind.FAILED, RefusalKind.MALFORMED})
"""What becomes of a result that JSON has not; that it is not written as a bare word is R05's to ask."""


@check(
    "R04",
    "values of every kind are carried",
    level="SHOULD",
    profile="standard",
    sentence="A question of the signature, of whatever values its datatypes have, gets an answer of the signature, or a typed "
    "refusal; the same when asked again, and row by row the same in a batch. An output that is an input is that input. An error "
    "of the server is no refusal, but for numbers greater than any golden one, whose result may be none that JSON has.",
    source=f"{PART_E}, R04; Open Inference Protocol V2, Tensor Data Types",
)
def test_drawn_values(
    request: pytest.FixtureRequest,
    seatrial_target: str,
    seatrial_deployment: Deployment,
    seatrial_facts: dict[str, Any],
) -> None:
    """What a model makes of such values nobody else knows, and it may not take them all: so answers are held against one
    another, and against the input where every golden case has an output equal to it.
    """
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    batches = model.manifest.batched and "batch" in read_claims(request, seatrial_target)
    echoes = find_echoes(model)
    counts = {"asked": 0, "answered": 0}
    findings = Findings()
    with Client(endpoint, model.manifest) as client:

        def judge(inputs: Arrays) -> str:
            first = ask_whole(client, inputs)
            counts["asked"] += 1
            counts["answered"] += isinstance(first, Answer)
            if is_extreme(model, inputs) and isinstance(first, Refusal) and first.kind in _WITHOUT_NUMBER:
                return ""
            return _judge_answer(client, endpoint, first, inputs, echoes) or _judge_again(
                client, model, first, inputs, batches=batches
            )

        for spec in model.manifest.inputs:
            certain = (judge(put_first(model, spec, value)) for value in list_certain(spec))
            wrong = next(filter(None, certain), "") or find_wrong(
                draw_inputs(model, spec),
                judge,
                key=lambda inputs: _encode(endpoint, model, inputs),
                seed=read_seed(request),
                drawn=DRAWN,
            )
            kind = name_kind(spec)
            name = f"{kind} drawn for {spec.name}"
            findings.judge(name, f"{describe_replay(request, seatrial_target)}\n{wrong}" if wrong else "")
        findings.judge("a golden case after all that", say_after(client, model))
    seatrial_facts.update(counts, echoes=sorted(echoes))
    findings.conclude(seatrial_facts)


@check(
    "R04a",
    "no integer overflows unsaid",
    profile="standard",
    sentence="An integer beyond what its datatype holds is refused, and never wrapped, cut or rounded; one at its edges, and "
    "beyond 2^53, is read as it is, which an output shows that is an input, or refused; never is it an error of the server.",
    source=f"{PART_E}, R04a; RFC 8259, 6; Open Inference Protocol V2, Tensor Data Types",
)
def test_integer_overflow(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    spec = next((each for each in model.manifest.inputs if name_kind(each) == "integers"), None)
    if spec is None:
        pytest.skip(f"{model.name} has no tensor of integers")
    echoes = find_echoes(model)
    findings = Findings()
    with Client(endpoint, model.manifest) as client:
        for name, text in _list_beyond(spec).items():
            placed = place(endpoint, model, join_cases(model, 1))
            outcome = ask_raw(client, RawQuestion(body=placed.encode_around(text, spec.name)))
            held = is_refused(outcome, endpoint)
            findings.judge(name, "" if held else f"\n{show_exchange(client, endpoint, outcome)}")
        for name, value in list_edges(spec).items():
            inputs = put_first(model, spec, value)
            outcome = ask_whole(client, inputs)
            findings.judge(name, _judge_answer(client, endpoint, outcome, inputs, echoes))
        findings.judge("a golden case after all that", say_after(client, model))
    seatrial_facts.update(echoes=sorted(echoes), edges_compared=bool(echoes))
    findings.conclude(seatrial_facts)


def _list_beyond(spec: TensorSpec) -> dict[str, bytes]:
    least, greatest = bound(spec)
    bits = NUMPY_DTYPES[spec.datatype].itemsize * 8
    values = {
        "one more than the greatest": greatest + 1,
        "one less than the least": least - 1,
        "what wraps to one": (1 << bits) + 1,
        "what wraps to one, from below": 1 - (1 << bits),
        "2^64": 1 << 64,
        "2^64 and one, below zero": -(1 << 64) - 1,
        "2^200": 1 << 200,
    }
    texts = {name: str(value).encode() for name, value in values.items()}
    return texts | {"2^200 with an exponent": b"1.6069380442589903e60", "1e400": b"1e400"}


def _encode(endpoint: Endpoint, model: ModelDirectory, inputs: Arrays) -> bytes:
    return find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(inputs)


def _judge_answer(
    client: Client, endpoint: Endpoint, outcome: Outcome, inputs: Arrays, echoes: Mapping[str, str]
) -> str:
    """Return what is wrong with what became of a question of the signature, taken alone."""
    if is_refused(outcome, endpoint) or (isinstance(outcome, Refusal) and outcome.kind is RefusalKind.OVERLOADED):
        return ""
    if not isinstance(outcome, Answer):
        return f"\n{show_exchange(client, endpoint, outcome)}"
    for output, source in echoes.items():
        got, want = outcome.outputs[output], inputs[source]
        if got.shape != want.shape or not bool((got == want).all()):
            return f"{output} is not {source}, which it is in every golden case:\n{show_exchange(client, endpoint, outcome)}"
    return ""


def _judge_again(client: Client, model: ModelDirectory, first: Outcome, inputs: Arrays, *, batches: bool) -> str:
    """Ask once more, alone and beside another row; return what differs. Alone and in a batch, floats may by the tolerance."""
    again = ask_whole(client, inputs)
    if not isinstance(first, Answer) or not isinstance(again, Answer):
        return "" if type(first) is type(again) else f"first {describe(first)}, then {describe(again)}"
    if not _is_same(first.outputs, again.outputs):
        return f"asked again, {dict(inputs)} gets {dict(again.outputs)} after {dict(first.outputs)}"
    if not batches:
        return ""
    other = join_cases(model, 1)
    batch = ask_whole(client, {name: np.concatenate([other[name], array]) for name, array in inputs.items()})
    if not isinstance(batch, Answer):
        return f"in a batch, {dict(inputs)} gets no answer: {describe(batch)}"
    rows = {name: array[len(next(iter(other.values()))) :] for name, array in batch.outputs.items()}
    found = compare(first.outputs, rows, model.manifest)
    return "" if found.right else f"in a batch, {dict(inputs)} gets another answer than alone: {found.message}"


def _is_same(one: Arrays, other: Arrays) -> bool:
    return all(np.array_equal(array, other[name], equal_nan=array.dtype.kind == "f") for name, array in one.items())
