"""Where the tensors of a question stand in a wire's body, found by looking: so a question of any JSON wire can be altered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, ModelDirectory
from seatrial.registry import find_wire
from seatrial.wire import find_body

_HOLE = "\x01the hole\x01"


class Placed:
    """The body of a question as JSON, which may be altered.

    Tensors stand in an object by name, in a list of objects with a `name`, or, as the only one, bare in the body. Their elements
    are the value itself, or stand under `data` beside what tells their shape.

    Raises:
        LookupError: no place of the tensors is found.
    """

    def __init__(self, body: bytes, names: Sequence[str]) -> None:
        self.body: dict[str, Any] = json.loads(body)
        self._holder: dict[str, Any] | list[dict[str, Any]]
        found = _find_holder(self.body, frozenset(names))
        self._keys = {name: name for name in names}
        if found is None:
            bare = [key for key, value in self.body.items() if isinstance(value, list)]
            if len(names) != 1 or len(bare) != 1:
                raise LookupError(f"no place of the tensors {', '.join(names)} is found in {body[:200]!r}")
            found, self._keys = self.body, {names[0]: bare[0]}
        self._holder = found

    @property
    def is_named(self) -> bool:
        """Whether the tensors stand there by name."""
        return self._holder is not self.body or set(self._keys.values()) == set(self._keys)

    def find_details(self, name: str) -> dict[str, Any] | None:
        """Return what stands beside a tensor's elements (`shape`, and `datatype` where the wire tells it); None for nothing."""
        tensor = self._find(name)
        return tensor if isinstance(tensor, dict) else None

    def read(self, name: str) -> Any:
        """Return the elements of a tensor."""
        tensor = self._find(name)
        return tensor["data"] if isinstance(tensor, dict) else tensor

    def write(self, name: str, data: Any) -> None:
        """Put other elements into a tensor's place."""
        tensor = self._find(name)
        if isinstance(tensor, dict):
            tensor["data"] = data
        elif isinstance(self._holder, dict):
            self._holder[self._keys[name]] = data

    def drop(self, name: str) -> None:
        """Leave a tensor out."""
        if isinstance(self._holder, dict):
            del self._holder[self._keys[name]]
        else:
            self._holder.remove(self._find(name))

    def add(self, name: str, like: str) -> None:
        """Add a tensor that is another by its own name."""
        if isinstance(self._holder, dict):
            self._holder[name] = self._find(like)
        else:
            self._holder.append({**self._find(like), "name": name})

    def encode(self) -> bytes:
        """Return the body."""
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

    def encode_around(self, text: bytes, name: str, position: int = 0) -> bytes:
        """Return the body with a text, be it JSON or not, where an element of a tensor stands."""
        self.write(name, replace_leaf(self.read(name), position, lambda _leaf: _HOLE))
        return self.encode().replace(json.dumps(_HOLE).encode(), text)

    def _find(self, name: str) -> Any:
        if isinstance(self._holder, dict):
            return self._holder[self._keys[name]]
        return next(tensor for tensor in self._holder if tensor["name"] == name)


def place(endpoint: Endpoint, model: ModelDirectory, inputs: Arrays) -> Placed:
    """Return the question that the wire makes of inputs; skip where its tensors are not found."""
    wire = find_wire(endpoint.wire)
    body = find_body(wire.framing, wire.open_exchange(endpoint, model.manifest).start(inputs))
    try:
        return Placed(body, [spec.name for spec in model.manifest.inputs])
    except (ValueError, LookupError) as error:
        pytest.skip(f"the questions of {endpoint.wire} cannot be altered: {error}")


def join_cases(model: ModelDirectory, rows: int) -> Arrays:
    """Return the inputs of some golden cases as one batch; of the first one alone where there is no batch.

    Where the model takes elements of several shapes, they are of the first case's: others make no batch with it.
    """
    if not model.manifest.batched:
        return model.cases[0].inputs
    filled = [case for case in model.cases if all(len(array) for array in case.inputs.values())] or list(model.cases)
    alike = [case for case in filled if _shape_rows(case.inputs) == _shape_rows(filled[0].inputs)]
    chosen = (alike * rows)[:rows]
    return {spec.name: np.concatenate([case.inputs[spec.name] for case in chosen]) for spec in model.manifest.inputs}


def _shape_rows(inputs: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape[1:] for name, array in inputs.items()}


def list_leaves(data: Any) -> Iterator[Any]:
    """Return the elements of a nested list, in order."""
    if isinstance(data, list):
        for item in data:
            yield from list_leaves(item)
    else:
        yield data


def replace_leaf(data: Any, position: int, make: Callable[[Any], Any]) -> Any:
    """Return a nested list with another element at a position. Raises LookupError when it has no such."""
    left = position

    def copy(item: Any) -> Any:
        nonlocal left
        if isinstance(item, list):
            return [copy(each) for each in item]
        left -= 1
        return make(item) if left == -1 else item

    copied = copy(data)
    if left >= 0:
        raise LookupError(f"there is no element {position} of {data!r}")
    return copied


def _find_holder(node: Any, names: frozenset[str]) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the innermost place of all the tensors: an outer key may be called as a tensor is."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        found = _find_holder(child, names)
        if found is not None:
            return found
    if isinstance(node, dict):
        return node if names <= set(node) else None
    is_list_of_tensors = isinstance(node, list) and node and all(isinstance(item, dict) for item in node)
    return node if is_list_of_tensors and {item.get("name") for item in node} == names else None
