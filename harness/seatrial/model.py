"""A model as it is handed to a target: a directory with an artifact, a manifest and golden cases.

model.json      the manifest (`Manifest`)
cases.json      the golden cases
artifact/       what was trained
code/           the Python that loads it
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from numpy.typing import NDArray

from seatrial.errors import ModelError
from seatrial.tensors import NUMPY_DTYPES, fits, to_array, to_list

SCHEMA = "seatrial.model/1"
MANIFEST_NAME = "model.json"
CASES_NAME = "cases.json"
LEARNED: Final = "the endpoint itself, asked alone"
"""`Manifest.golden` of answers that tell what an endpoint says, not what is right."""
UNSTEADY: Final = "the endpoint itself, which answers the same question in two ways"
"""The same, where no other answer can be compared with them."""
Arrays = Mapping[str, NDArray[Any]]


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, element type (V2 name) and shape of a tensor; -1 as first dimension stands for the batch."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.datatype not in NUMPY_DTYPES:
            raise ValueError(f"datatype {self.datatype!r} of tensor {self.name!r} is none of {', '.join(NUMPY_DTYPES)}")


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Floats are right when |got - want| <= absolute + relative * |want|; everything else must be equal."""

    absolute: float = 1e-9
    relative: float = 1e-6


class Resources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one deployment may use: `cpus` in cores, `memory_bytes` in bytes."""

    cpus: float = 1.0
    memory_bytes: int = 1 << 30


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is: `model.json`. `golden` says who made the golden answers; empty: the model's own code."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    inputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    entry: str
    python: str
    files: dict[str, str]
    requirements: tuple[str, ...] = ()
    flavor: str = "pyfunc"
    tolerance: Tolerance = Tolerance()
    resources: Resources = Resources()
    golden: str = ""
    schema: str = SCHEMA

    @property
    def batched(self) -> bool:
        """Whether every tensor has a batch dimension."""
        return all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One golden case: arrays by tensor name, of the declared element types and concrete shapes."""

    name: str
    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True)
class ModelDirectory:
    """A model on disk. Make it with `ModelDirectory.open`, which checks that it is what it says."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> ModelDirectory:
        """Read and check a model directory.

        Raises:
            ModelError: no or a broken manifest, a file missing, changed or outside the directory.
        """
        manifest_path = path / MANIFEST_NAME
        if not manifest_path.is_file():
            raise ModelError(f"{path} is not a model directory: it has no {MANIFEST_NAME}")
        manifest = _read_manifest(manifest_path)
        _check_files(path, manifest)
        return cls(path=path, manifest=manifest)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The golden cases, decoded."""
        return read_cases(self.path / CASES_NAME, self.manifest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the manifest, which holds the hash of every other file."""
        return hashlib.sha256((self.path / MANIFEST_NAME).read_bytes()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_tree(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `root` but the manifest, by relative path."""
    return {name: hash_file(root / name) for name in sorted(_list_files(root))}


def _list_files(root: Path) -> set[str]:
    """Names of what is to be hashed: every file and link but the manifest and what Python itself writes."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if (path.is_symlink() or not path.is_dir())
        and path != root / MANIFEST_NAME
        and "__pycache__" not in path.relative_to(root).parts
    }


def encode_cases(cases: list[Case], manifest: Manifest) -> bytes:
    """Return the JSON of golden cases: floats in the shortest form that reads back to the same number."""

    def encode(arrays: Arrays, specs: tuple[TensorSpec, ...]) -> dict[str, Any]:
        return {
            spec.name: {"shape": list(arrays[spec.name].shape), "data": to_list(arrays[spec.name])} for spec in specs
        }

    return msgspec.json.encode(
        [
            {
                "name": case.name,
                "inputs": encode(case.inputs, manifest.inputs),
                "outputs": encode(case.outputs, manifest.outputs),
            }
            for case in cases
        ]
    )


def read_cases(path: Path, manifest: Manifest) -> tuple[Case, ...]:
    """Read golden cases.

    Raises:
        ModelError: the file is not there, or a case does not match the signature.
    """
    try:
        return decode_cases(path.read_bytes(), manifest)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} does not hold golden cases for {manifest.name}: {error}") from error


def decode_cases(data: bytes, manifest: Manifest) -> tuple[Case, ...]:
    """Return the cases that were encoded. Raises ValueError when a case does not match the signature, or there is none."""
    try:
        rows = msgspec.json.decode(data)
        if not rows:
            raise ValueError("it is empty, and without golden cases nothing can be compared")
        return tuple(
            Case(
                name=row["name"],
                inputs=_decode(row["inputs"], manifest.inputs),
                outputs=_decode(row["outputs"], manifest.outputs),
            )
            for row in rows
        )
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _decode(row: dict[str, Any], specs: tuple[TensorSpec, ...]) -> Arrays:
    arrays = {}
    for spec in specs:
        shape = tuple(row[spec.name]["shape"])
        if not fits(shape, spec.shape):
            raise ValueError(f"{spec.name} has shape {list(shape)}, declared {list(spec.shape)}")
        arrays[spec.name] = to_array(row[spec.name]["data"], spec.datatype, shape)
    return arrays


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = msgspec.json.decode(path.read_bytes())
        # First, for another schema may well have other fields.
        schema = raw.get("schema", SCHEMA) if isinstance(raw, dict) else SCHEMA
        if schema != SCHEMA:
            raise ModelError(f"{path} has schema {schema!r}, this version reads {SCHEMA!r}")
        return msgspec.convert(raw, type=Manifest)
    except (msgspec.DecodeError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not a model manifest: {error}") from error


def _check_files(root: Path, manifest: Manifest) -> None:
    for name, digest in manifest.files.items():
        file = root / name
        if (
            "\0" in name
            or Path(name).is_absolute()
            or ".." in Path(name).parts
            or not file.resolve().is_relative_to(root.resolve())
        ):
            raise ModelError(f"the manifest of {root} names {name!r}, which lies outside the model directory")
        if not file.is_file():
            raise ModelError(f"{root} lacks {name!r}, which its manifest names")
        if hash_file(file) != digest:
            raise ModelError(
                f"{root / name} is not the file its manifest was written for: SHA-256 {hash_file(file)[:12]}…, "
                f"expected {digest[:12]}…",
                fix="build the model directory again",
            )
    unnamed = sorted(_list_files(root) - set(manifest.files))
    if unnamed:
        raise ModelError(
            f"{root} holds {unnamed[0]!r}, which its manifest does not name"
            + f" (and {len(unnamed) - 1} more)" * (len(unnamed) > 1),
            fix="build the model directory again",
        )
    if CASES_NAME not in manifest.files:
        raise ModelError(f"the manifest of {root} names no {CASES_NAME}: without golden cases nothing can be compared")
