"""Writes model directories: answers the golden cases as a deployment would, checks them, and seals the manifest.

Model code runs here, so this is imported only in a child process (`seatrial.model_child`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.definition import Predict
from seatrial.loading import load_predictor
from seatrial.model import (
    CASES_NAME,
    MANIFEST_NAME,
    Arrays,
    Case,
    Manifest,
    TensorSpec,
    encode_cases,
    hash_tree,
)
from seatrial.tensors import FLOATS, NUMPY_DTYPES, fits


class BuildError(Exception):
    """One sentence about why the model cannot be built."""


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `model.json` as it stands, so that what lies in `directory` can be loaded."""
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def seal(directory: Path, manifest: Manifest, cases: Sequence[Case]) -> None:
    """Write the golden cases, and the manifest with the hash of every file.

    Raises:
        BuildError: there are no cases, or two have the same name.
    """
    if not cases:
        raise BuildError("it has no golden cases: without them nothing can be compared")
    if len({case.name for case in cases}) != len(cases):
        raise BuildError("two of its golden cases have the same name")
    (directory / CASES_NAME).write_bytes(encode_cases(list(cases), manifest))
    write_manifest(directory, msgspec.structs.replace(manifest, files=hash_tree(directory)))


def answer_cases(directory: Path, manifest: Manifest, inputs: Iterable[Mapping[str, Any]]) -> list[Case]:
    """Load what lies in `directory` as a deployment would, and answer each of `inputs` with it.

    Raises:
        BuildError: predicting fails, or an input or output is not what the signature says.
        LoadingError: it does not load.
    """
    _, predict = load_predictor(directory)
    return [answer_case(manifest, predict, f"case-{index:03d}", each) for index, each in enumerate(inputs, start=1)]


def answer_case(manifest: Manifest, predict: Predict, name: str, inputs: Mapping[str, Any]) -> Case:
    """Answer one case, and check what went in and what came out."""
    arrays = check_arrays(inputs, manifest.inputs, f"{name}: input")
    asked = {tensor: array.copy() for tensor, array in arrays.items()}
    try:
        outputs = predict(arrays)
    except Exception as error:
        raise BuildError(f"{name}: predict raised {type(error).__name__}: {error}") from error
    return Case(name=name, inputs=asked, outputs=check_arrays(outputs, manifest.outputs, f"{name}: output"))


def check_arrays(given: Any, specs: tuple[TensorSpec, ...], what: str) -> Arrays:
    """Return `given` as arrays; refuse what differs from the signature in name, element type or shape.

    Raises:
        BuildError: it differs, or has an element that no golden case may have.
    """
    declared = {spec.name for spec in specs}
    if not isinstance(given, Mapping) or set(given) != declared:
        names = sorted(map(str, given)) if isinstance(given, Mapping) else f"in a {type(given).__name__}, not a mapping"
        raise BuildError(f"{what} has tensors {names}, the signature says {sorted(declared)}")
    return {spec.name: _check_array(given[spec.name], spec, f"{what} {spec.name}") for spec in specs}


def _check_array(given: Any, spec: TensorSpec, what: str) -> NDArray[Any]:
    # Straight to object: numpy's own string arrays lose trailing NUL characters.
    array = np.array(given, dtype=object) if spec.datatype == "BYTES" else np.asarray(given)
    if array.dtype != NUMPY_DTYPES[spec.datatype] or not fits(array.shape, spec.shape):
        raise BuildError(
            f"{what} is {array.dtype} {list(array.shape)}, the signature says {spec.datatype} {list(spec.shape)}"
        )
    if spec.datatype == "BYTES":
        for element in array.ravel():
            _check_text(element, what)
    if spec.datatype in FLOATS and not bool(np.isfinite(array.astype(np.float64)).all()):
        raise BuildError(f"{what} has NaN or infinite elements, which no golden case may have")
    return array


def _check_text(element: Any, what: str) -> None:
    if not isinstance(element, str):
        raise BuildError(f"{what} has an element of type {type(element).__name__}, BYTES is text: str")
    try:
        element.encode()
    except UnicodeEncodeError as error:
        raise BuildError(f"{what} has an element that UTF-8 cannot carry: {error}") from error
