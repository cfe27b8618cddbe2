"""What elements of a datatype may be: its edges, and values between them by chance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from seatrial.model import Arrays, ModelDirectory, TensorSpec
from seatrial.tensors import NUMPY_DTYPES
from seatrial_suites.conformance.misshapen import bound, name_kind
from seatrial_suites.conformance.placing import join_cases, list_leaves, replace_leaf

_MOST_ROWS = 2
_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    '"\\/\b\f\n\r\t',
    "\x7f\x80\x9f",
    "\u00e9",
    "e\u0301",
    "\u200d\ufeff",
    "\u2028\u2029",
    "\ud7ff\ue000\uffff",
    "\U00010000",
    "\U0001f600",
    "\U0010ffff",
    "NaN",
    "null",
    "a" * 5000,
)
_CHARACTERS = 'a0 "\\/\0\n\u00e9\u0301\u05d0\u2028\ufeff\uffff\U00010000\U0001f600\U0010ffff'


def list_edges(spec: TensorSpec) -> dict[str, int]:
    """Return the integers at the edges of a datatype, and those that a double does not hold, as far as it has them."""
    least, greatest = bound(spec)
    edges = {
        "the greatest": greatest,
        "one less than the greatest": greatest - 1,
        "the least": least,
        "one more than the least": least + 1,
        "2^53": 1 << 53,
        "2^53 and one": (1 << 53) + 1,
        "2^53 and one, below zero": -(1 << 53) - 1,
    }
    return {name: value for name, value in edges.items() if least <= value <= greatest}


def is_extreme(model: ModelDirectory, inputs: Arrays) -> bool:
    """Whether a float is greater than one and than any of the golden cases, below zero or above."""

    def find_greatest(cases: Iterable[Arrays]) -> float:
        floats = [array for case in cases for array in case.values() if array.dtype.kind == "f" and array.size]
        return max((float(np.abs(array).max()) for array in floats), default=0.0)

    return find_greatest([inputs]) > max(1.0, find_greatest(case.inputs for case in model.cases))


@st.composite
def draw_inputs(draw: st.DrawFn, model: ModelDirectory, spec: TensorSpec) -> Arrays:
    """Draw a row or two of golden cases in which one tensor has elements by chance."""
    rows = draw(st.integers(1, _MOST_ROWS))
    inputs = dict(join_cases(model, rows))
    golden = inputs[spec.name]
    elements = _draw_elements(spec, list(list_leaves(golden.tolist())))
    few = draw(st.lists(elements, min_size=1, max_size=4))
    flat = np.empty(golden.size, dtype=NUMPY_DTYPES[spec.datatype])
    flat[:] = [few[at % len(few)] for at in range(golden.size)]
    inputs[spec.name] = flat.reshape(golden.shape)
    return inputs


def list_certain(spec: TensorSpec) -> list[Any]:
    """Return the elements that are not left to chance."""
    kind = name_kind(spec)
    if kind == "bools":
        return [False, True]
    if kind == "strings":
        return list(_TEXTS)
    if kind == "integers":
        return list(list_edges(spec).values())
    info = np.finfo(NUMPY_DTYPES[spec.datatype])
    edges = [0.0, -0.0, float(info.max), float(info.min), float(info.tiny), float(info.smallest_subnormal), 1 / 3, -1.0]
    return [float(NUMPY_DTYPES[spec.datatype].type(each)) for each in edges]


def put_first(model: ModelDirectory, spec: TensorSpec, value: Any) -> Arrays:
    """Return the first golden case with another first element of a tensor."""
    inputs = dict(join_cases(model, 1))
    nested = replace_leaf(inputs[spec.name].tolist(), 0, lambda _leaf: value)
    inputs[spec.name] = np.array(nested, dtype=NUMPY_DTYPES[spec.datatype])
    return inputs


def _draw_elements(spec: TensorSpec, golden: list[Any]) -> st.SearchStrategy[Any]:
    kind = name_kind(spec)
    certain = st.sampled_from(list_certain(spec))
    if kind == "bools":
        return certain
    if kind == "strings":
        return certain | st.text(_CHARACTERS, max_size=12)
    if kind == "integers":
        return certain | st.integers(*bound(spec))
    # Small ones: who takes a number for a time to wait is not to wait long.
    small = st.floats(-1.0, 1.0, width=NUMPY_DTYPES[spec.datatype].itemsize * 8)  # type: ignore[arg-type]
    return certain | st.sampled_from(golden) | small if golden else certain | small
