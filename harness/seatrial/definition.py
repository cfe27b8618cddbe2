"""How a user writes a model down in Python. Standard library only: these modules travel into the containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
"""Element types, by their Open Inference Protocol V2 names; BYTES is text in UTF-8."""

Tensors = Mapping[str, Any]
"""Arrays by tensor name; numpy arrays, BYTES as object arrays of str."""

Predict = Callable[[Tensors], Tensors]


@dataclass(frozen=True, slots=True)
class Tensor:
    """Element type and shape of a named input or output; -1 as first dimension stands for the batch."""

    datatype: Datatype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """Inputs of the golden cases, with tolerances for comparing floats: |got - want| <= absolute + relative * |want|."""

    inputs: Callable[[], Sequence[Tensors]]
    absolute: float = 1e-9
    relative: float = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonModel:
    """A model as Python code.

    Args:
        name: what it is called, also on the wire: letters, digits, `-` and `_`.
        inputs: tensors it takes, by name.
        outputs: tensors it gives, by name.
        build: writes the artifact of one version into an empty directory.
        load: reads that directory and returns the function that predicts; a ValueError of it says that the values it was asked
            with are not to be answered, and is the asker's mistake where a server tells the two apart.
        cases: inputs to ask; their right answers are computed once by `load(...)` in a child process.
        versions: version names, the first is the one deployed, the second the one updated to.
        requirements: pip requirements of `load` and of the function it returns.
        flavor: the MLflow flavor that the artifact is logged in; `pyfunc` wraps `load`.
        package: True carries the whole top-level package of the defining module along, False just that module.
        cpus: how many CPUs a deployment may use.
        memory_bytes: how much memory a deployment may use.
    """

    name: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    build: Callable[[Path, str], None]
    load: Callable[[Path], Predict]
    cases: Cases
    versions: Sequence[str] = ("1",)
    requirements: Sequence[str] = ()
    flavor: str = "pyfunc"
    package: bool = False
    cpus: float = 1.0
    memory_bytes: int = 1 << 30
    options: Mapping[str, Any] = field(default_factory=dict)
