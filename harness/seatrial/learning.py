"""Learns from an endpoint what there is to ask of it: questions of its signature, and what it answers when asked alone.

Such answers do not tell what is right. They tell whether the same question has the same answer later: in a batch, beside
others, after something was refused.
"""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.client import AskTimeoutError, Client
from seatrial.comparison import compare
from seatrial.discovery import MODEL_FIX, Discovery, Signature
from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.load.probe import NoAnswerError
from seatrial.model import (
    CASES_NAME,
    LEARNED,
    MANIFEST_NAME,
    UNSTEADY,
    Arrays,
    Case,
    Manifest,
    ModelDirectory,
    TensorSpec,
    Tolerance,
    encode_cases,
    hash_tree,
)
from seatrial.target import Progress
from seatrial.tensors import FLOATS, NUMPY_DTYPES
from seatrial.wire import Answer

MOST_CASES: Final = 32
_MOST_ELEMENTS: Final = 1 << 20
"""Of all questions together: JSON of some megabytes."""
_TRIES: Final = 4
_LONGEST: Final = 8
"""Of a dimension that may have any size, other than the batch."""
_FLOAT_STEPS: Final = 640
"""From 0 to 10 by 1/64, which every float type holds exactly."""
_MOST_INTEGER: Final = 9
"""Small, for an integer is often an index or a category."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz "
_TOLERANCES: Final = {"FP16": Tolerance(absolute=1e-3, relative=1e-2), "FP32": Tolerance(absolute=1e-6, relative=1e-4)}
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A model, and what was found while it was learned, in words."""

    model: ModelDirectory
    remarks: tuple[str, ...] = ()


def learn(endpoint: Endpoint, told: Discovery, directory: Path, *, seed: int, say: Progress) -> Learned:
    """Ask questions made of the signature that a server told, each twice and alone, and write a model directory of the answers.

    Raises:
        UsageError: the signature is of questions too large to make up.
        NoAnswerError: none of the questions is answered.
    """
    signature = told.signature
    assert signature is not None
    manifest = _make_manifest(told.name, signature)
    endpoint = dataclasses.replace(endpoint, name=quote(told.name, safe=""))
    questions = draw_questions(signature.inputs, seed)
    say(f"asking {len(questions)} questions made of its signature, each twice and alone")
    with Client(endpoint, manifest) as client:
        first = [_ask(client, inputs) for inputs in questions]
        answered = [(inputs, each) for inputs, each in zip(questions, first, strict=True) if not isinstance(each, str)]
        if not answered:
            raise NoAnswerError(
                f"not one of {len(questions)} questions made of the signature that {endpoint.address} tells is answered: "
                f"{first[0]}",
                fix=f"see that it is ready; or {MODEL_FIX}, whose golden cases are questions that it takes",
            )
        second = [_ask(client, inputs) for inputs, _ in answered]
    cases = [
        Case(name=f"learned-{index:03d}", inputs=inputs, outputs=outputs)
        for index, (inputs, outputs) in enumerate(answered, start=1)
    ]
    unsteady = [
        case.name
        for case, again in zip(cases, second, strict=True)
        if isinstance(again, str) or not compare(case.outputs, again, manifest).right
    ]
    remarks = []
    if len(cases) < len(questions):
        why = next(each for each in first if isinstance(each, str))
        left_out = len(questions) - len(cases)
        remarks.append(f"{left_out} of {len(questions)} questions had no answer and are left out, the first: {why}")
    if unsteady:
        remarks.append(
            f"{len(unsteady)} of {len(cases)} questions, asked twice and alone, had not the same answer twice"
        )
    golden = UNSTEADY if unsteady else LEARNED
    model = _write(directory, msgspec.structs.replace(manifest, golden=golden), cases)
    return Learned(model=model, remarks=tuple(remarks))


def draw_questions(inputs: Sequence[TensorSpec], seed: int) -> list[Arrays]:
    """Return questions of one row each, no two alike: as many as are asked, fewer where they are large or few.

    Raises:
        UsageError: a single one is too large.
    """
    elements = sum(math.prod(_LONGEST if size == -1 else size for size in spec.shape[1:]) for spec in inputs)
    elements = max(1, elements, *(spec.shape[0] if spec.shape else 1 for spec in inputs))
    if elements > _MOST_ELEMENTS:
        raise UsageError(f"a question of its signature has {elements:,} elements, too many to make up", fix=MODEL_FIX)
    wanted = max(2, min(MOST_CASES, _MOST_ELEMENTS // elements))
    rng = random.Random(seed)
    drawn: dict[str, Arrays] = {}
    for _ in range(wanted * _TRIES):
        question = _draw_question(inputs, rng)
        drawn.setdefault(repr([array.tolist() for array in question.values()]), question)
        if len(drawn) == wanted:
            break
    return list(drawn.values())


def _draw_question(inputs: Sequence[TensorSpec], rng: random.Random) -> Arrays:
    # One length for all: inputs of any length mostly go together, as tokens and their mask do.
    length = rng.randint(1, _LONGEST)
    question = {}
    for spec in inputs:
        shape = tuple(size if size != -1 else (1 if place == 0 else length) for place, size in enumerate(spec.shape))
        items = [_draw_element(spec.datatype, rng) for _ in range(math.prod(shape))]
        array: NDArray[Any] = np.empty(len(items), dtype=NUMPY_DTYPES[spec.datatype])
        array[:] = items
        question[spec.name] = array.reshape(shape)
    return question


def _draw_element(datatype: str, rng: random.Random) -> Any:
    if datatype == "BOOL":
        return rng.random() < 0.5
    if datatype == "BYTES":
        return "".join(rng.choices(_LETTERS, k=rng.randint(1, 24))).strip() or "a"
    return rng.randint(0, _FLOAT_STEPS) / 64 if datatype in FLOATS else rng.randint(0, _MOST_INTEGER)


def _ask(client: Client, inputs: Arrays) -> Arrays | str:
    """Return the outputs, or in words why there are none."""
    try:
        outcome = client.ask(inputs, timeout_s=_TIMEOUT_S)
    except AskTimeoutError as error:
        raise NoAnswerError(error.message) from error
    except OSError as error:
        client.close()
        return f"no answer: {type(error).__name__}: {error}"
    if isinstance(outcome, Answer):
        return outcome.outputs
    return f"{outcome.kind.value} (status {outcome.status}): {outcome.message}"


def _make_manifest(name: str, signature: Signature) -> Manifest:
    coarse = [spec.datatype for spec in signature.outputs]
    tolerance = next((_TOLERANCES[each] for each in _TOLERANCES if each in coarse), Tolerance())
    return Manifest(
        name=_make_word(name, r"[^A-Za-z0-9_-]+"),
        version=_make_word(signature.version, r"[^A-Za-z0-9._-]+"),
        inputs=signature.inputs,
        outputs=signature.outputs,
        entry="",
        python="",
        files={},
        tolerance=tolerance,
        golden=LEARNED,
    )


def _make_word(text: str, others: str) -> str:
    """Return a name as a manifest may have it, of one that a server has."""
    return re.sub(others, "-", text).lstrip("._-")[:63] or "unknown"


def _write(directory: Path, manifest: Manifest, cases: Sequence[Case]) -> ModelDirectory:
    directory.mkdir(parents=True)
    (directory / CASES_NAME).write_bytes(encode_cases(list(cases), manifest))
    manifest = msgspec.structs.replace(manifest, files=hash_tree(directory))
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return ModelDirectory.open(directory)
