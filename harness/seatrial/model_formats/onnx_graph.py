"""Reads an ONNX file: its signature, the data others laid beside it, and a second version that answers differently.

Data beside a file has the layout of ONNX's backend tests: `test_data_set_N/input_I.pb` and `output_I.pb`, one serialized
TensorProto each, I in the order of the graph's inputs and outputs (github.com/onnx/onnx, docs/OnnxBackendTest.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.model import Arrays, TensorSpec
from seatrial.model_writing import BuildError

# onnx.TensorProto.DataType by name, to element types of the Open Inference Protocol V2.
DATATYPES: Mapping[str, str] = {
    "BOOL": "BOOL",
    "UINT8": "UINT8",
    "UINT16": "UINT16",
    "UINT32": "UINT32",
    "UINT64": "UINT64",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FLOAT16": "FP16",
    "FLOAT": "FP32",
    "DOUBLE": "FP64",
    "STRING": "BYTES",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Inputs and right outputs that somebody else made; outputs may be absent."""

    name: str
    inputs: Arrays
    outputs: Arrays


def read_graph(path: Path) -> Any:
    """Return the ModelProto, with data that lies in other files read in.

    Raises:
        BuildError: not an ONNX file, or a file of its data is missing.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load(str(path))
    except DecodeError as error:
        raise BuildError(f"{path} is not an ONNX file: {error}") from error
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BuildError(f"{path} cannot be read: {error}") from error
    if not proto.graph.output:
        raise BuildError(f"{path} is not an ONNX file: it has no graph with outputs")
    return proto


def list_inputs(proto: Any) -> list[Any]:
    """Return the inputs that must be given: those without a value in the file."""
    known = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in known]


def read_data_sets(path: Path, proto: Any) -> list[DataSet]:
    """Return the data sets beside an ONNX file.

    Raises:
        BuildError: a file of them is not a tensor.
    """

    def read(directory: Path, kind: str, values: Sequence[Any]) -> Arrays:
        return {
            value.name: _read_tensor(file)
            for index, value in enumerate(values)
            if (file := directory / f"{kind}_{index}.pb").is_file()
        }

    return [
        DataSet(
            name=directory.name,
            inputs=read(directory, "input", list_inputs(proto)),
            outputs=read(directory, "output", proto.graph.output),
        )
        for directory in sorted(path.parent.glob("test_data_set_*"))
    ]


def read_specs(values: Sequence[Any], known: Arrays, *, batched: bool) -> tuple[TensorSpec, ...]:
    """Return the signature of graph inputs or outputs.

    An open first dimension is the batch when `batched`; other open ones take their size from `known` arrays.

    Raises:
        BuildError: not a tensor, an element type that no wire has, or an open dimension of unknown size.
    """
    return tuple(_read_spec(value, known.get(value.name), batched=batched) for value in values)


def is_batched(values: Sequence[Any]) -> bool:
    """Tell whether the first dimension of a graph's inputs is open."""
    return bool(values) and all(
        (dims := value.type.tensor_type.shape.dim) and not dims[0].HasField("dim_value") for value in values
    )


def _read_spec(value: Any, known: NDArray[Any] | None, *, batched: bool) -> TensorSpec:
    import onnx

    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise BuildError(f"{value.name!r} is a {kind}; only tensors can be asked for")
    tensor = value.type.tensor_type
    element = onnx.TensorProto.DataType.Name(tensor.elem_type)
    if element not in DATATYPES:
        raise BuildError(f"{value.name!r} has elements of type {element}, which the V2 protocol cannot carry")
    if not tensor.HasField("shape"):
        if known is None:
            raise BuildError(f"{value.name!r} has no shape in the file, and no test_data_set_0 beside it tells one")
        return TensorSpec(name=value.name, datatype=DATATYPES[element], shape=known.shape)
    shape = tuple(
        _read_dimension(value.name, position, dim, known, batched=batched)
        for position, dim in enumerate(tensor.shape.dim)
    )
    return TensorSpec(name=value.name, datatype=DATATYPES[element], shape=shape)


def _read_dimension(name: str, position: int, dim: Any, known: NDArray[Any] | None, *, batched: bool) -> int:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    if position == 0 and batched:
        return -1
    if known is None or position >= known.ndim:
        raise BuildError(
            f"dimension {position} of {name!r} is open ({dim.dim_param or 'unnamed'}), and no test_data_set_0 beside the "
            "file tells its size; only the first, the batch, may stay open"
        )
    return int(known.shape[position])


def _read_tensor(file: Path) -> NDArray[Any]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        array = onnx.numpy_helper.to_array(onnx.load_tensor(str(file)))
    except (DecodeError, OSError, TypeError, ValueError) as error:
        raise BuildError(f"{file} is not a tensor: {error}") from error
    if array.dtype.kind in "OSU":
        flat = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
        decoded = np.empty(len(flat), dtype=object)
        decoded[:] = flat
        return decoded.reshape(array.shape)
    return np.asarray(array)
