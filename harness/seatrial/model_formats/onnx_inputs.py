"""Made-up inputs for nets that came with few or none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.model import TensorSpec
from seatrial.model_formats.onnx_graph import DataSet
from seatrial.tensors import FLOATS, NUMPY_DTYPES

_MOST_CASES = 20
_FEWEST_CASES = 2
# Golden cases are JSON; this many numbers in all keep a model directory small.
_MOST_ELEMENTS = 200_000
_WORDS = ("sea", "Trial", "été", "ναῦς", "船", "⛵")


def make_inputs(specs: Sequence[TensorSpec], data_sets: Sequence[DataSet]) -> list[Mapping[str, Any]]:
    """Return the inputs of made-up cases, the same at every call.

    Where a data set shows what the net takes, only floats are varied: an integer may be an index or a shape, for which few
    values are right.
    """
    template = data_sets[0].inputs if data_sets else {}
    elements = sum(math.prod(abs(size) for size in spec.shape) for spec in specs)
    count = max(_FEWEST_CASES, min(_MOST_CASES, _MOST_ELEMENTS // max(1, elements)))
    random = np.random.default_rng(20)
    return [
        {
            spec.name: template[spec.name]
            if spec.name in template and spec.datatype not in FLOATS
            else _make_array(spec, random)
            for spec in specs
        }
        for _ in range(count)
    ]


def _make_array(spec: TensorSpec, random: np.random.Generator) -> NDArray[Any]:
    shape = tuple(1 if size == -1 else size for size in spec.shape)
    if spec.datatype == "BYTES":
        return np.array(random.choice(_WORDS, size=shape).tolist(), dtype=object).reshape(shape)
    if spec.datatype in FLOATS:
        return random.uniform(-1.0, 1.0, size=shape).astype(NUMPY_DTYPES[spec.datatype])
    return random.integers(0, 2, size=shape).astype(NUMPY_DTYPES[spec.datatype])
