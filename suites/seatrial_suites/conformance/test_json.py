"""JSON at its edges: what is none is refused, what is some harms nothing, and what comes back is strict JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import Answer, RawQuestion, Refusal, RefusalKind
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.extreme_texts import list_extreme
from seatrial_suites.conformance.json_texts import BROKEN, SOUND
from seatrial_suites.conformance.misshapen import name_kind
from seatrial_suites.conformance.placing import join_cases, list_leaves, place
from seatrial_suites.conformance.reaching import MALFORMED, find_host
from seatrial_suites.conformance.refusing import Outcome, Patience, ask_raw, is_refused, say_after, show_exchange

pytestmark = pytest.mark.conformance
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_JSON = re.compile(rb"(?<![\w.])-?(?:NaN|Infinity)\b", re.IGNORECASE)
_WHOLE_BYTES = 1 << 24
"""Of an answer, as much as is looked through."""
_UNREAD = re.compile("JSONDecodeError")
_JSON_TYPES = re.compile(rb"(?im)^content-type:\s*(?:application/json|text/event-stream)")
# For a tensor of floats; a model may make NaN or an infinity of any of them.
NUMBERS = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e400": b"1e400",
    "null": b"null",
    '"NaN"': b'"NaN"',
    '"Infinity"': b'"Infinity"',
    "the greatest double": b"1.7976931348623157e308",
    "the least double": b"-1.7976931348623157e308",
}


@check(
    "B02",
    "JSON is read as RFC 8259 has it",
    level="SHOULD",
    profile="standard",
    sentence="A text that is no JSON is refused as the asker's mistake, alone and in the place of a tensor's element, and one "
    "that is JSON, though no question, is no error of the server.",
    source=f"{PART_E}, B02; RFC 8259, 2 to 9",
)
def test_json_grammar(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    broken = dict(_list_broken(endpoint, model))
    with Client(endpoint, model.manifest) as client:
        for name, body in (broken | {f"{what}, sound": text for what, text in SOUND.items()}).items():
            outcome = ask_raw(client, RawQuestion(body=body))
            patience.take(outcome)
            held = is_refused(outcome, endpoint) if name in broken else _is_borne(outcome)
            findings.judge(name, "" if held else f"\n{show_exchange(client, endpoint, outcome)}")
            if patience.is_over:
                break
        findings.judge("a golden case after all that", say_after(client, model))
    findings.conclude(seatrial_facts)


@check(
    "R05",
    "what is answered is JSON",
    level="SHOULD",
    profile="standard",
    sentence="Whatever number is asked, what is answered can be read as JSON: it has no NaN or Infinity in it as a bare word.",
    source=f"{PART_E}, R05; RFC 8259, 6",
)
def test_strict_json_out(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    floats = [spec for spec in model.manifest.inputs if name_kind(spec) == "floats"]
    if not floats:
        pytest.skip(f"{model.name} has no tensor of floats")
    findings = Findings()
    with Client(endpoint, model.manifest, kept_bytes=_WHOLE_BYTES) as client:
        for what, text in NUMBERS.items():
            placed = place(endpoint, model, join_cases(model, 1))
            outcome = ask_raw(client, RawQuestion(body=placed.encode_around(text, floats[0].name)))
            found = _find_no_json(client.received, outcome)
            findings.judge(what, f"{found} came back:\n{show_exchange(client, endpoint, outcome)}" if found else "")
        placed = place(endpoint, model, join_cases(model, 1))
        for spec in floats:
            size = len(list(list_leaves(placed.read(spec.name))))
            placed.write(spec.name, _fill(placed.read(spec.name), 1.7976931348623157e308))
            seatrial_facts[f"elements_{spec.name}"] = size
        outcome = ask_raw(client, RawQuestion(body=placed.encode()))
        found = _find_no_json(client.received, outcome)
        shown = f"{found} came back:\n{show_exchange(client, endpoint, outcome)}" if found else ""
        # A model that refuses, or stays finite, has nothing to write that JSON has not: nothing is shown by that.
        if shown or _is_infinite(outcome):
            findings.judge("the greatest double everywhere", shown)
    findings.conclude(seatrial_facts)


@check(
    "B06",
    "extreme texts harm nothing",
    level="SHOULD",
    profile="standard",
    sentence="Deep nesting, huge numbers, NULs, a byte order mark, halves of surrogate pairs and the words NaN and Infinity are "
    "answered or refused, never an error of the server or its end, and the next question is answered right.",
    source=f"{PART_E}, B06; RFC 8259, 8 and 9",
)
def test_extreme_texts(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, MALFORMED)
    findings, patience = Findings(), Patience()
    with Client(endpoint, model.manifest) as client:
        for name, make in list_extreme(endpoint, model).items():
            outcome = ask_raw(client, RawQuestion(body=make()))
            patience.take(outcome)
            if not _is_borne(outcome):
                findings.judge(name, f"\n{show_exchange(client, endpoint, outcome)}")
            else:
                findings.judge(name, say_after(client, model))
            if patience.is_over:
                break
    findings.conclude(seatrial_facts)


def _list_broken(endpoint: Endpoint, model: ModelDirectory) -> Iterator[tuple[str, bytes]]:
    """Yield what is no JSON, by name: as the whole body, and where an element of a tensor would be."""
    first = model.manifest.inputs[0].name
    for what, text in BROKEN.items():
        yield f"{what}, alone", text
        if text.strip():
            yield f"{what}, inside", place(endpoint, model, join_cases(model, 1)).encode_around(text, first)


def _is_borne(outcome: Outcome) -> bool:
    """Whether a question was answered, in whatever way, or refused as the asker's mistake: no 5xx, no cut connection."""
    if isinstance(outcome, Refusal):
        return outcome.kind is not RefusalKind.TRUNCATED and outcome.status < 500
    return isinstance(outcome, Answer)


def _is_infinite(outcome: Outcome) -> bool:
    """Whether a number of an answer is not finite."""
    arrays = outcome.outputs.values() if isinstance(outcome, Answer) else ()
    return any(not np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")


def _find_no_json(received: bytes, outcome: Outcome) -> str:
    """Return the first word of an answer in JSON that JSON has not, outside of its strings, or why it cannot be read."""
    head, _, body = received.partition(b"\r\n\r\n")
    if received.startswith(b"HTTP/") and not _JSON_TYPES.search(head + body):
        return ""
    found = _NO_JSON.search(_STRING.sub(b'""', body if received.startswith(b"HTTP/") else received))
    if found:
        return found[0].decode()
    is_unread = (
        isinstance(outcome, Refusal) and outcome.kind is RefusalKind.MALFORMED and _UNREAD.match(outcome.message)
    )
    return "what cannot be read as JSON" if is_unread else ""


def _fill(data: Any, element: float) -> Any:
    return [_fill(item, element) for item in data] if isinstance(data, list) else element
