"""Questions that are JSON and no questions of the model's signature, made of one that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory, TensorSpec
from seatrial.tensors import FLOATS, NUMPY_DTYPES
from seatrial_suites.conformance.placing import Placed, join_cases, place, replace_leaf

Alter = Callable[[Placed], None]
_OTHER_NAME = "no_such_tensor"
# What no element may be, by the kind of element that the tensor has; a number is no string, and so on.
_WRONG_ELEMENTS: dict[str, dict[str, Any]] = {
    "integers": {
        "a word": "seven",
        "digits in quotes": "7",
        "a bool": True,
        "null": None,
        "a fraction": 0.5,
        "an object": {},
    },
    "floats": {"a word": "seven", "digits in quotes": "0.5", "a bool": True, "null": None, "an object": {}},
    "bools": {"a number": 1, "a word": "true", "null": None, "an object": {}},
    "strings": {"a number": 7, "a bool": True, "null": None, "an object": {}},
}


def list_misshapen(endpoint: Endpoint, model: ModelDirectory) -> dict[str, bytes]:
    """Return bodies by what is wrong with them. Which there are depends on the signature and the wire, their names do not."""
    bodies = {name: _alter(endpoint, model, change) for name, change in _list_changes(model).items()}
    return {name: body for name, body in bodies.items() if body is not None}


def name_kind(spec: TensorSpec) -> str:
    """Return what the elements of a tensor are called."""
    if spec.datatype == "BYTES":
        return "strings"
    if spec.datatype == "BOOL":
        return "bools"
    return "floats" if spec.datatype in FLOATS else "integers"


def bound(spec: TensorSpec) -> tuple[int, int]:
    """Return the least and the greatest integer of a tensor of integers."""
    info = np.iinfo(NUMPY_DTYPES[spec.datatype])
    return int(info.min), int(info.max)


def list_wrong_elements(spec: TensorSpec) -> dict[str, Any]:
    """Return elements that a tensor cannot have, by what they are called."""
    kind = name_kind(spec)
    elements = {f"{what} among {kind}": element for what, element in _WRONG_ELEMENTS[kind].items()}
    if kind == "integers":
        elements["an integer beyond the datatype"] = bound(spec)[1] + 1
    return elements


def _list_changes(model: ModelDirectory) -> dict[str, Alter]:
    inputs = model.manifest.inputs
    first, rank = inputs[0].name, len(inputs[0].shape)
    changes: dict[str, Alter] = {
        "a tensor missing": lambda placed: placed.drop(first),
        "a tensor that is not the model's": lambda placed: _add_stranger(placed, first),
        "a tensor by another name": lambda placed: _rename(placed, first),
    }
    for spec in inputs:
        for what, element in list_wrong_elements(spec).items():
            changes.setdefault(what, _put(spec.name, element))
    changes |= {
        f"a dimension too many for {name_kind(inputs[0])} of rank {rank}": lambda placed: _add_dimension(placed, first),
        f"a dimension too few for {name_kind(inputs[0])} of rank {rank}": lambda placed: _drop_dimension(placed, first),
        "rows of different lengths": lambda placed: _make_ragged(placed, first),
        "a datatype that is another": lambda placed: _tell(placed, first, datatype=_choose_other(inputs[0])),
        "a datatype that there is not": lambda placed: _tell(placed, first, datatype="FLOAT"),
        "a shape of more than there is": lambda placed: _tell(
            placed, first, shape=lambda shape: [shape[0] + 1, *shape[1:]]
        ),
        "a shape below nothing": lambda placed: _tell(placed, first, shape=lambda shape: [-size for size in shape]),
    }
    if len(inputs) > 1 and model.manifest.batched:
        changes["tensors of different batches"] = lambda placed: _add_row(placed, first)
    return changes


class _NotHereError(Exception):
    """The wire has nothing that could be wrong in this way."""


def _alter(endpoint: Endpoint, model: ModelDirectory, change: Alter) -> bytes | None:
    placed = place(endpoint, model, join_cases(model, 2))
    try:
        change(placed)
    except _NotHereError:
        return None
    return placed.encode()


def _add_stranger(placed: Placed, name: str) -> None:
    if not placed.is_named:
        raise _NotHereError
    placed.add(_OTHER_NAME, like=name)


def _rename(placed: Placed, name: str) -> None:
    _add_stranger(placed, name)
    placed.drop(name)


def _put(name: str, element: Any) -> Alter:
    return lambda placed: placed.write(name, replace_leaf(placed.read(name), 0, lambda _leaf: element))


def _add_dimension(placed: Placed, name: str) -> None:
    details = placed.find_details(name)
    if details is None:
        placed.write(name, [placed.read(name)])
    else:
        details["shape"] = [1, *details["shape"]]


def _drop_dimension(placed: Placed, name: str) -> None:
    details = placed.find_details(name)
    if details is None:
        placed.write(name, placed.read(name)[0])
    else:
        details["shape"] = details["shape"][1:]
        size = int(np.prod(details["shape"], dtype=int))
        placed.write(name, placed.read(name)[:size])


def _make_ragged(placed: Placed, name: str) -> None:
    """Give the rows of nested lists different lengths; a flat list with a shape lacks its last element."""
    data = placed.read(name)
    if placed.find_details(name) is not None:
        placed.write(name, data[:-1])
    elif isinstance(data[0], list):
        placed.write(name, [data[0][:-1], *data[1:]])
    else:
        placed.write(name, [[data[0], data[0]], *data[1:]])


def _add_row(placed: Placed, name: str) -> None:
    data, details = placed.read(name), placed.find_details(name)
    if details is None:
        placed.write(name, [*data, data[0]])
        return
    rows, *rest = details["shape"]
    details["shape"] = [rows + 1, *rest]
    placed.write(name, data + data[: int(np.prod(rest, dtype=int))])


def _tell(
    placed: Placed, name: str, *, datatype: str = "", shape: Callable[[list[int]], list[int]] | None = None
) -> None:
    details = placed.find_details(name)
    if details is None or (datatype and "datatype" not in details):
        raise _NotHereError
    if datatype:
        details["datatype"] = datatype
    if shape is not None:
        details["shape"] = shape(details["shape"])


def _choose_other(spec: TensorSpec) -> str:
    """Return a datatype that holds the same JSON values, so that only its name is wrong."""
    others = {"integers": ("INT64", "INT32"), "floats": ("FP64", "FP32"), "bools": ("UINT8",), "strings": ("BOOL",)}
    return next(each for each in others[name_kind(spec)] if each != spec.datatype)
