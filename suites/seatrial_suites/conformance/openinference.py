"""Questions in the Open Inference Protocol V2, and what its objects must look like.

github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, ModelDirectory, TensorSpec
from seatrial.tensors import NUMPY_DTYPES, to_list
from seatrial.wires.v2 import read_outputs
from seatrial_suites.conformance.requesting import JSON, Reply, locate, post_json, show_reply

SOURCE = "Open Inference Protocol, specification/protocol/inference_rest.md"


def name_model(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return the target of the model's metadata; what else it has is below."""
    return locate(endpoint, f"/v2/models/{endpoint.name or model.name}")


def make_question(model: ModelDirectory, *, case: int = 0, nested: bool = False) -> dict[str, Any]:
    """Return the inference request of a golden case."""
    return write_question(model, model.cases[case].inputs, nested=nested)


def write_question(model: ModelDirectory, inputs: Arrays, *, nested: bool = False) -> dict[str, Any]:
    """Return an inference request, its data nested as its shapes are or flat."""
    tensors = [
        {
            "name": spec.name,
            "shape": list(inputs[spec.name].shape),
            "datatype": spec.datatype,
            "data": _nest(inputs[spec.name]) if nested else to_list(inputs[spec.name]),
        }
        for spec in model.manifest.inputs
    ]
    return {"inputs": tensors}


def infer(endpoint: Endpoint, model: ModelDirectory, question: Mapping[str, Any], *, version: str = "") -> Reply:
    """Ask the model, or a version of it."""
    below = f"/versions/{version}" if version else ""
    return post_json(endpoint, f"{name_model(endpoint, model)}{below}/infer", question)


def list_wrong_questions(question: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return questions by what is wrong with them, made of a right one.

    A server may coerce elements to their datatype ("Tensor Data"), so none of these is wrong by that alone.
    """
    first, *rest = question["inputs"]

    def change(**fields: Any) -> dict[str, Any]:
        return {"inputs": [{**first, **fields}, *rest]}

    return {
        "no inputs": {"id": "1"},
        "an input that the model has not": {"inputs": [*question["inputs"], {**first, "name": "no-such-input"}]},
        "an input missing": {"inputs": rest},
        "fewer elements than the shape holds": change(data=first["data"][:-1]),
        "a shape of one dimension more": change(shape=[*first["shape"], 1]),
        "a size below zero": change(shape=[-size for size in first["shape"]]),
        "a datatype that the protocol has not": change(datatype="NUMBER"),
        "an element that is no element": change(data=[{} for _ in first["data"]]),
        "an output that the model has not": {**question, "outputs": [{"name": "no-such-output"}]},
    }


def judge_outputs(
    endpoint: Endpoint, model: ModelDirectory, reply: Reply, wanted: Arrays, *, chosen: Sequence[str] = ()
) -> str:
    """Return what is wrong with an answer in whole, or an empty string; with some outputs chosen it has these alone."""
    return judge_object(endpoint, reply, lambda answer: find_wrong_outputs(answer, model, wanted, chosen=chosen))


def find_wrong_outputs(
    answer: Mapping[str, Any], model: ModelDirectory, wanted: Arrays, *, chosen: Sequence[str] = ()
) -> list[str]:
    """Return what is wrong with the outputs of an answer: their objects, the signature's types, the model's numbers."""
    tensors = answer.get("outputs")
    if not isinstance(tensors, list):
        return ["outputs is no list"]
    broken = [f"outputs[{at}] {what}" for at, each in enumerate(tensors) for what in find_wrong_tensor(each, data=True)]
    if broken:
        return broken
    specs = tuple(spec for spec in model.manifest.outputs if not chosen or spec.name in chosen)
    manifest = msgspec.structs.replace(model.manifest, outputs=specs)
    try:
        outputs = read_outputs({each["name"]: each for each in tensors}, manifest)
    except (ValueError, TypeError) as error:
        return [str(error)]
    found = compare({spec.name: wanted[spec.name] for spec in specs}, outputs, manifest)
    return [] if found.right else [found.message]


def find_wrong_tensor(tensor: Any, *, data: bool = False) -> list[str]:
    """Return what is wrong with a tensor's object: `$metadata_tensor`, or with data `$response_output`."""
    if not isinstance(tensor, dict):
        return ["is no object"]
    wrong = [] if isinstance(tensor.get("name"), str) else ["has no name"]
    if tensor.get("datatype") not in NUMPY_DTYPES:
        wrong.append(f"has datatype {tensor.get('datatype')!r}, which is none of the protocol")
    shape = tensor.get("shape")
    least = 0 if data else -1
    if not isinstance(shape, list) or any(type(size) is not int or size < least for size in shape):
        return [*wrong, f"has shape {shape!r}, which is no list of sizes"]
    if data and not isinstance(tensor.get("data"), list):
        wrong.append("has no data")
    elif data and (count := _count(tensor["data"])) != math.prod(shape):
        wrong.append(f"has {count} elements, and shape {shape}")
    return wrong


def judge_object(endpoint: Endpoint, reply: Reply, find_wrong: Callable[[dict[str, Any]], list[str]]) -> str:
    """Return what is wrong with a response that must be a 200 with one JSON object, declared as JSON."""
    if reply.status != 200 or reply.trouble:
        return f"\n{show_reply(endpoint, reply)}"
    document = reply.document
    wrong = find_wrong(document) if isinstance(document, dict) else ["the body is no JSON object"]
    if reply.media_type != JSON:
        wrong = [f"it is declared as {reply.media_type or 'nothing'}, and not as {JSON}", *wrong]
    return f"{'; '.join(wrong)}\n{show_reply(endpoint, reply)}" if wrong else ""


def judge_error(endpoint: Endpoint, reply: Reply) -> str:
    """Return what is wrong with an error: it must have a status of 4xx, and a sentence under `error`."""
    wrong = [] if reply.is_refusal else ["it is not refused with a status of 4xx"]
    document = reply.document
    if not isinstance(document, dict) or not isinstance(document.get("error"), str):
        wrong.append("the body has no string under `error`")
    return f"{'; '.join(wrong)}\n{show_reply(endpoint, reply)}" if wrong else ""


def find_wrong_metadata(given: Any, specs: Iterable[TensorSpec], what: str) -> list[str]:
    """Return where the tensors of a model's metadata are not those that it is asked with, or answers with."""
    if not isinstance(given, list):
        return [f"{what} is no list"]
    wrong = [f"{what}[{at}] {each}" for at, tensor in enumerate(given) for each in find_wrong_tensor(tensor)]
    if wrong:
        return wrong
    by_name = {tensor["name"]: tensor for tensor in given}
    declared = {spec.name: spec for spec in specs}
    if set(by_name) != set(declared):
        return [f"{what} are {sorted(by_name)}, the model's are {sorted(declared)}"]
    return [
        f"{what}: {name} is {tensor['datatype']} {tensor['shape']}, the model's is {spec.datatype} {list(spec.shape)}"
        for name, spec in declared.items()
        if (tensor := by_name[name])["datatype"] != spec.datatype or not _covers(tensor["shape"], spec.shape)
    ]


def stack_rows(model: ModelDirectory, rows: int) -> tuple[Arrays, Arrays]:
    """Return inputs and outputs of as many golden cases in one batch. The model is one that takes batches."""
    cases = [model.cases[at % len(model.cases)] for at in range(rows)]

    def stack(arrays: Sequence[Arrays]) -> Arrays:
        return {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}

    return stack([case.inputs for case in cases]), stack([case.outputs for case in cases])


def _covers(declared: Sequence[int], needed: Sequence[int]) -> bool:
    """Whether a declared shape allows every shape that is needed; -1 stands for any size."""
    return len(declared) == len(needed) and all(d in (-1, n) for d, n in zip(declared, needed, strict=True))


def _nest(array: Any) -> Any:
    flat = iter(to_list(array))

    def build(sizes: Sequence[int]) -> Any:
        return [build(sizes[1:]) for _ in range(sizes[0])] if sizes else next(flat)

    return build(array.shape)


def _count(data: Any) -> int:
    return sum(map(_count, data)) if isinstance(data, list) else 1
