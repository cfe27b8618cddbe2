"""Questions that are JSON and not the model's: refused, and never answered with a number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import RawQuestion
from seatrial_suites.conformance.asking import PART_E, NoAnswer, ask
from seatrial_suites.conformance.drawing import describe_replay, find_wrong, read_seed
from seatrial_suites.conformance.misshapen import bound, list_misshapen, list_wrong_elements, name_kind
from seatrial_suites.conformance.placing import join_cases, list_leaves, place, replace_leaf
from seatrial_suites.conformance.reaching import MALFORMED, find_host
from seatrial_suites.conformance.refusing import Patience, ask_raw, is_refused, say_after, show_exchange

pytestmark = pytest.mark.conformance
_DRAWN = 40
_MOST_ROWS = 3


@check(
    "B03",
    "what is not the signature's is refused",
    profile="standard",
    sentence="A question with a tensor too many or too few, elements of another type or out of range, ragged rows, tensors of "
    "different batches, or a shape or datatype that is not declared is refused as the asker's mistake, and never answered "
    "with a number.",
    source=f"{PART_E}, B03; stricter than Open Inference Protocol V2, Tensor Data, by which a server may also coerce elements",
)
def test_wrong_schema(
    request: pytest.FixtureRequest,
    seatrial_target: str,
    seatrial_deployment: Deployment,
    seatrial_facts: dict[str, Any],
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    with Client(endpoint, model.manifest) as client:
        right = ask(client, model.cases[0].inputs)
        assert not isinstance(right, NoAnswer), f"before anything wrong was sent: {right.message}"

        def judge(body: bytes) -> str:
            outcome = ask_raw(client, RawQuestion(body=body))
            patience.take(outcome)
            return "" if is_refused(outcome, endpoint) else f"\n{show_exchange(client, endpoint, outcome)}"

        for name, body in list_misshapen(endpoint, model).items():
            findings.judge(name, judge(body))
            if patience.is_over:
                break
        # Only where the ones by name are refused: else it would draw one of them.
        if not findings.wrong:
            wrong = find_wrong(_draw_wrong(endpoint, model), judge, key=bytes, seed=read_seed(request), drawn=_DRAWN)
            findings.judge("drawn by chance", f"{describe_replay(request, seatrial_target)}{wrong}" if wrong else "")
        findings.judge("a golden case after all that", say_after(client, model))
    findings.conclude(seatrial_facts)


@st.composite
def _draw_wrong(draw: st.DrawFn, endpoint: Endpoint, model: ModelDirectory) -> bytes:
    """Draw some rows of golden cases with an element, anywhere in them, that is none of its tensor."""
    placed = place(endpoint, model, join_cases(model, draw(st.integers(1, _MOST_ROWS))))
    spec = draw(st.sampled_from(model.manifest.inputs))
    elements = st.sampled_from(list(list_wrong_elements(spec).values()))
    if name_kind(spec) == "integers":
        least, greatest = bound(spec)
        elements |= st.integers(max_value=least - 1) | st.integers(min_value=greatest + 1, max_value=1 << 200)
    if name_kind(spec) != "strings":
        elements |= st.text("0123456789abc .-+", max_size=8)
    position = draw(st.integers(0, len(list(list_leaves(placed.read(spec.name)))) - 1))
    element = draw(elements)
    placed.write(spec.name, replace_leaf(placed.read(spec.name), position, lambda _leaf: element))
    return placed.encode()
