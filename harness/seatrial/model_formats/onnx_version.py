"""A second version of an ONNX graph that answers recognisably differently: a node more behind each output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.model import Arrays

_SUFFIX = " (2)"
_INNER = "__version_1"
# StringConcat came with opset 20; Sub takes every number from 14 on.
_OPSET = 20

Change = Callable[[NDArray[Any]], NDArray[Any]]


def negate(array: NDArray[Any]) -> NDArray[Any]:
    """Return what the negating version answers: -y for floats, -1 - y for integers, not y, `y (2)` for text."""
    return np.asarray(-array) if array.dtype.kind == "f" else complement(array)


def complement(array: NDArray[Any]) -> NDArray[Any]:
    """Return what the complementing version answers: as `negate`, but -1 - y for floats too, so that 0 changes."""
    if array.dtype.kind == "f":
        return np.asarray(array.dtype.type(-1) - array)
    if array.dtype.kind == "O":
        return np.array([f"{item}{_SUFFIX}" for item in array.ravel()], dtype=object).reshape(array.shape)
    return np.asarray(~array)


def change_arrays(arrays: Arrays, change: Change) -> Arrays:
    """Apply `change` to every array."""
    return {name: change(array) for name, array in arrays.items()}


def append_change(proto: Any, change: Change) -> Any:
    """Return a copy of the graph whose outputs have gone through `change`: `negate` or `complement`.

    Raises:
        Exception: of onnx, when the graph cannot be brought to the operator set that this needs.
    """
    import onnx

    floats_only = all(_name_type(output) in {"FLOAT", "DOUBLE", "FLOAT16"} for output in proto.graph.output)
    changed = type(proto)()
    changed.CopyFrom(proto)
    opset = next((each.version for each in proto.opset_import if each.domain in {"", "ai.onnx"}), 0)
    if opset < _OPSET and not (change is negate and floats_only):
        changed = onnx.version_converter.convert_version(changed, _OPSET)
    for output in changed.graph.output:
        inner = f"{output.name}{_INNER}"
        _rename(changed.graph, output.name, inner)
        if output.name in {value.name for value in (*changed.graph.input, *changed.graph.initializer)}:
            inner = output.name
        changed.graph.node.extend(_nodes(output.name, inner, _name_type(output), change))
    return changed


def _name_type(value: Any) -> str:
    import onnx

    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def _nodes(name: str, inner: str, element: str, change: Change) -> list[Any]:
    from onnx import TensorProto, helper

    if element == "BOOL":
        return [helper.make_node("Not", [inner], [name])]
    if element in {"FLOAT", "DOUBLE", "FLOAT16"} and change is negate:
        return [helper.make_node("Neg", [inner], [name])]
    operand = f"{name}__operand"
    if element == "STRING":
        text = helper.make_tensor("value", TensorProto.STRING, [], np.array([_SUFFIX.encode()], dtype=object))
        constant = helper.make_node("Constant", [], [operand], value=text)
        return [constant, helper.make_node("StringConcat", [inner, operand], [name])]
    # Unsigned: the largest number less y, which is -1 - y modulo 2^n. Small integers go through a type that Sub has.
    unsigned = element.startswith("UINT")
    wide = {"INT8": "INT32", "INT16": "INT32", "UINT8": "INT32", "UINT16": "INT32", "UINT32": "INT64"}.get(
        element, element
    )
    first = int(np.iinfo(element.lower()).max) if unsigned else -1
    tensor = helper.make_tensor("value", getattr(TensorProto, wide), [], [first])
    nodes = [helper.make_node("Constant", [], [operand], value=tensor)]
    if wide == element:
        return [*nodes, helper.make_node("Sub", [operand, inner], [name])]
    return [
        *nodes,
        helper.make_node("Cast", [inner], [f"{inner}__wide"], to=getattr(TensorProto, wide)),
        helper.make_node("Sub", [operand, f"{inner}__wide"], [f"{name}__wide"]),
        helper.make_node("Cast", [f"{name}__wide"], [name], to=getattr(TensorProto, element)),
    ]


def _rename(graph: Any, old: str, new: str) -> None:
    """Rename what a node computes, wherever it is used, in graphs inside of nodes too."""
    if old in {value.name for value in (*graph.input, *graph.initializer)}:
        return
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
        for attribute in node.attribute:
            for inside in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _rename(inside, old, new)
