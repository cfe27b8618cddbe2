"""A model with every datatype of the Open Inference Protocol: rows of two come back the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial import Cases, PythonModel, Tensor

ROWS: Mapping[str, Sequence[tuple[Any, Any]]] = {
    "BOOL": ((True, False), (False, True)),
    "UINT8": ((0, 255), (1, 2)),
    "UINT16": ((0, 65535), (1, 2)),
    "UINT32": ((0, 2**32 - 1), (1, 2)),
    "UINT64": ((0, 2**64 - 1), (1, 2)),
    "INT8": ((-128, 127), (1, -2)),
    "INT16": ((-(2**15), 2**15 - 1), (1, -2)),
    "INT32": ((-(2**31), 2**31 - 1), (1, -2)),
    "INT64": ((-(2**63), 2**63 - 1), (1, -2)),
    "FP16": ((0.5, -65504.0), (1.0, 2.0)),
    "FP32": ((0.25, -1.5e38), (1.0, 2.0)),
    "FP64": ((0.1, -1.7e308), (1.0, 2.0)),
    "BYTES": (("ä", "漢字"), ("", "two words")),
}


def build(directory: Path, version: str) -> None:
    """Write which version this is: nothing is trained."""
    (directory / "version.txt").write_text(version)


def load(directory: Path) -> Any:
    """Return `predict`."""

    def predict(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name.replace("in", "out"): array[:, ::-1] for name, array in tensors.items()}

    return predict


def make_inputs() -> Sequence[Mapping[str, Any]]:
    """Return the rows one by one."""
    import numpy as np

    from seatrial.tensors import NUMPY_DTYPES

    return [
        {f"in_{name}": np.array([rows[row]], dtype=NUMPY_DTYPES[name]) for name, rows in ROWS.items()} for row in (0, 1)
    ]


model = PythonModel(
    name="datatypes",
    inputs={f"in_{name}": Tensor(name, (-1, 2)) for name in ROWS},
    outputs={f"out_{name}": Tensor(name, (-1, 2)) for name in ROWS},
    build=build,
    load=load,
    cases=Cases(make_inputs),
    versions=("1", "2"),
)
