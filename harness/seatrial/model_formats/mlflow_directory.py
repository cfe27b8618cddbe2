"""Builds a model directory from one that MLflow saved: its signature's columns or tensors, its input example as cases."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.model import Manifest, TensorSpec, Tolerance
from seatrial.model_formats import mlflow_predictor
from seatrial.model_formats.mlflow_predictor import name_specs
from seatrial.model_writing import BuildError, answer_cases, seal, write_manifest
from seatrial.tensors import NUMPY_DTYPES

_MOST_CASES = 100
# mlflow.types.DataType by name; the others have no element type in the V2 protocol.
_COLUMN_TYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}
_TENSOR_TYPES = {str(dtype): name for name, dtype in NUMPY_DTYPES.items() if name != "BYTES"}
_LOG_SO = "log it with signature=mlflow.models.infer_signature(inputs, outputs) and input_example=inputs"


def build_mlflow_model(locator: str, out: Path) -> list[Path]:
    """Build the one version that an MLflow model directory holds; each row of its input example becomes a case.

    Raises:
        BuildError: not readable by MLflow, no signature or input example, or made with another Python.
    """
    path = Path(locator)
    saved = _read(path)
    inputs = _specs(saved.signature.inputs, "inputs")
    manifest = Manifest(
        name=_name(path, saved),
        version="1",
        inputs=inputs,
        outputs=_specs(saved.signature.outputs, "outputs"),
        entry="mlflow_predictor:model",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        files={},
        requirements=_requirements(path),
        flavor="pyfunc",
        tolerance=Tolerance(absolute=1e-9, relative=1e-6),
    )
    directory = out / f"{manifest.name}-1"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "code").mkdir(parents=True)
    shutil.copytree(path, directory / "artifact", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(mlflow_predictor.__file__, directory / "code" / "mlflow_predictor.py")
    write_manifest(directory, manifest)
    seal(directory, manifest, answer_cases(directory, manifest, _cases(path, saved, inputs)))
    return [directory]


def _read(path: Path) -> Any:
    from mlflow.models import Model

    try:
        saved = Model.load(str(path))
    except Exception as error:
        raise BuildError(f"{path / 'MLmodel'} is not what MLflow writes: {type(error).__name__}: {error}") from error
    pyfunc = (saved.flavors or {}).get("python_function")
    if pyfunc is None:
        raise BuildError(f"{path} has no python_function flavor, by which MLflow loads a model of any kind")
    made_with = ".".join(str(pyfunc.get("python_version", "")).split(".")[:2])
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if made_with and made_with != here:
        raise BuildError(f"{path} was logged with Python {made_with}, this is Python {here}")
    if saved.signature is None or not saved.signature.inputs or not saved.signature.outputs:
        raise BuildError(f"{path} has no signature of inputs and outputs; {_LOG_SO}")
    return saved


def _name(path: Path, saved: Any) -> str:
    import re

    given = getattr(saved, "name", None) or path.name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", given).strip("-_")[:63] or "mlflow"


def _specs(schema: Any, side: str) -> tuple[TensorSpec, ...]:
    return tuple(
        _tensor_spec(spec, name) if schema.is_tensor_spec() else _column_spec(spec, name)
        for spec, name in zip(schema, name_specs(schema, side), strict=True)
    )


def _tensor_spec(spec: Any, name: str) -> TensorSpec:
    datatype = "BYTES" if spec.type.kind in "OU" else _TENSOR_TYPES.get(str(spec.type))
    if datatype is None:
        raise BuildError(f"tensor {name!r} has elements of {spec.type}, which the V2 protocol cannot carry")
    return TensorSpec(name=name, datatype=datatype, shape=tuple(int(size) for size in spec.shape))


def _column_spec(spec: Any, name: str) -> TensorSpec:
    kind = getattr(spec.type, "name", type(spec.type).__name__)
    if kind not in _COLUMN_TYPES:
        raise BuildError(f"column {name!r} is of type {kind}; taken are {', '.join(_COLUMN_TYPES)}")
    return TensorSpec(name=name, datatype=_COLUMN_TYPES[kind], shape=(-1,))


def _requirements(path: Path) -> tuple[str, ...]:
    file = path / "requirements.txt"
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()] if file.is_file() else []
    return tuple(line for line in lines if line and not line.startswith("-"))


def _cases(path: Path, saved: Any, specs: Sequence[TensorSpec]) -> list[Mapping[str, Any]]:
    try:
        example = saved.load_input_example(str(path))
    except Exception as error:
        raise BuildError(f"the input example of {path} cannot be read: {type(error).__name__}: {error}") from error
    if example is None:
        raise BuildError(f"{path} has no input example, so there is nothing to ask; {_LOG_SO}")
    columns = {spec.name: _column(example, index, spec, len(specs)) for index, spec in enumerate(specs)}
    if any(spec.shape[:1] != (-1,) for spec in specs):
        return [columns]
    rows = min(len(column) for column in columns.values())
    return [{name: column[row : row + 1] for name, column in columns.items()} for row in range(min(rows, _MOST_CASES))]


def _column(example: Any, index: int, spec: TensorSpec, count: int) -> NDArray[Any]:
    if hasattr(example, "columns"):
        column = example[spec.name] if spec.name in example else example.iloc[:, index]
    elif isinstance(example, Mapping):
        column = example[spec.name]
    else:
        column = example if count == 1 else np.asarray(example)[:, index]
    return np.asarray(
        np.asarray(column, dtype=object).tolist() if spec.datatype == "BYTES" else column,
        dtype=NUMPY_DTYPES[spec.datatype],
    )
