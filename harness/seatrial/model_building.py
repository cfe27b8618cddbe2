"""Builds model directories from a `PythonModel`. Runs the model's code, so it is imported only by `seatrial.model_child`."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from seatrial.carried_code import CodeOrigin, copy_code, only_carried
from seatrial.definition import PythonModel, Tensor
from seatrial.model import Manifest, Resources, TensorSpec, Tolerance
from seatrial.model_writing import BuildError, answer_cases, seal, write_manifest
from seatrial.suggestion import suggest


def build_python_model(locator: str, out: Path) -> list[Path]:
    """Build every version of a `PythonModel` named `module:attribute`."""
    module, definition = _import_definition(locator)
    attribute = locator.partition(":")[2]
    if not definition.versions:
        raise BuildError(f"{locator} has no versions")
    inputs = _make_inputs(definition)
    return [_build_version(module, attribute, definition, version, inputs, out) for version in definition.versions]


def _build_version(
    module: ModuleType, attribute: str, definition: PythonModel, version: str, inputs: list[Any], out: Path
) -> Path:
    directory = out / f"{definition.name}-{version}"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "artifact").mkdir(parents=True)
    try:
        definition.build(directory / "artifact", version)
    except Exception as error:
        raise BuildError(f"building version {version} failed: {type(error).__name__}: {error}") from error
    entry = copy_code(module, directory / "code", package=definition.package)
    manifest = _manifest(definition, version, f"{entry}:{attribute}")
    write_manifest(directory, manifest)
    with only_carried(CodeOrigin.of(module), directory / "code"):
        cases = answer_cases(directory, manifest, inputs)
    seal(directory, manifest, cases)
    return directory


def _make_inputs(definition: PythonModel) -> list[Any]:
    try:
        return list(definition.cases.inputs())
    except Exception as error:
        raise BuildError(f"making its cases failed: {type(error).__name__}: {error}") from error


def _import_definition(locator: str) -> tuple[ModuleType, PythonModel]:
    module_name, _, attribute = locator.partition(":")
    try:
        module = importlib.import_module(module_name)
    except SystemExit as error:
        raise BuildError(
            f"{module_name} does not import: it ends the process (sys.exit) when it is imported"
        ) from error
    except Exception as error:
        raise BuildError(f"{module_name} does not import: {type(error).__name__}: {error}") from error
    definition = getattr(module, attribute, None)
    if definition is None:
        known = [name for name, value in vars(module).items() if isinstance(value, PythonModel)]
        raise BuildError(f"{module_name} has no {attribute!r}.{suggest(attribute, known)}")
    if not isinstance(definition, PythonModel):
        raise BuildError(f"{locator} is a {type(definition).__name__}, not a seatrial.PythonModel")
    if getattr(module, "__file__", None) is None:
        raise BuildError(f"{module_name} is a folder without __init__.py; name the module in it that has the model")
    return module, definition


def _manifest(definition: PythonModel, version: str, entry: str) -> Manifest:
    def specs(tensors: Mapping[str, Tensor]) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name=name, datatype=t.datatype, shape=tuple(t.shape)) for name, t in tensors.items())

    return Manifest(
        name=definition.name,
        version=version,
        inputs=specs(definition.inputs),
        outputs=specs(definition.outputs),
        entry=entry,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        files={},
        requirements=tuple(definition.requirements),
        flavor=definition.flavor,
        tolerance=Tolerance(absolute=definition.cases.absolute, relative=definition.cases.relative),
        resources=Resources(cpus=definition.cpus, memory_bytes=definition.memory_bytes),
    )
