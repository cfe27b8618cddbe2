"""Named tensors: element types, their numpy counterparts, and their JSON form.

Element types and the row-major flat `data` list are those of the Open Inference Protocol V2, "Tensor Data Types" and
"Tensor Data" (github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
FLOATS = frozenset({"FP16", "FP32", "FP64"})
# As many as numpy's arrays may have; JSON may be nested deeper than Python can recurse.
_MOST_DIMENSIONS = 64
_SPECIALS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_array(data: Any, datatype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Make an array of exactly this element type and shape from a flat or nested list.

    Raises:
        ValueError: the data does not have that many elements, or an element is not of the type.
    """
    if datatype not in NUMPY_DTYPES:
        raise ValueError(f"unknown datatype {datatype!r}")
    items = _flatten(data)
    if len(items) != math.prod(shape):
        raise ValueError(f"{len(items)} elements for shape {list(shape)}, which holds {math.prod(shape)}")
    if datatype == "BYTES":
        _require_type(items, (str,), datatype)
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array.reshape(shape)
    if datatype in FLOATS:
        items = [_SPECIALS.get(item, item) if isinstance(item, str) else item for item in items]
        _require_type(items, (int, float), datatype)
        return _to_floats(items, datatype).reshape(shape)
    if datatype == "BOOL":
        _require_type(items, (bool,), datatype)
    else:
        _require_type(items, (int,), datatype)
    try:
        return np.array(items, dtype=NUMPY_DTYPES[datatype]).reshape(shape)
    except OverflowError as error:
        raise ValueError(f"an element does not fit {datatype}: {error}") from error


def to_list(array: NDArray[Any]) -> list[Any]:
    """Return the elements in row-major order as JSON values; NaN and infinities become strings, for JSON has none."""
    items = array.ravel().tolist()
    if array.dtype.kind != "f":
        return items
    return [item if math.isfinite(item) else _name_special(item) for item in items]


def fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Tell whether a concrete shape matches a declared one, in which -1 stands for any size."""
    return len(shape) == len(declared) and all(d in (-1, s) for s, d in zip(shape, declared, strict=True))


def _name_special(item: float) -> str:
    if math.isnan(item):
        return "NaN"
    return "Infinity" if item > 0 else "-Infinity"


def _to_floats(items: list[Any], datatype: str) -> NDArray[Any]:
    try:
        wide = np.array(items, dtype=np.float64)
    except OverflowError as error:
        raise ValueError(f"an element does not fit {datatype}: {error}") from error
    with np.errstate(over="ignore"):
        array = wide.astype(NUMPY_DTYPES[datatype])
    grown = np.isinf(array) & ~np.isinf(wide)
    if bool(grown.any()):
        raise ValueError(f"an element does not fit {datatype}: {wide[grown][0]}")
    return array


def _flatten(data: Any) -> list[Any]:
    items = data if isinstance(data, (list, tuple)) else [data]
    for _ in range(_MOST_DIMENSIONS):
        if not any(isinstance(item, (list, tuple)) for item in items):
            return list(items)
        items = [leaf for item in items for leaf in (item if isinstance(item, (list, tuple)) else (item,))]
    raise ValueError(f"lists are nested more than {_MOST_DIMENSIONS} deep")


def _require_type(items: list[Any], types: tuple[type, ...], datatype: str) -> None:
    for item in items:
        if not isinstance(item, types) or (isinstance(item, bool) and bool not in types):
            raise ValueError(f"{item!r} is not a {datatype}")
