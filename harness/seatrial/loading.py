"""Loads a model directory for prediction. Runs wherever the model runs: in a child process, in a container.

Standard library only (a predictor brings numpy itself), so that the image of the reference server needs no more.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from seatrial.definition import Predict

_PREFIX = "_seatrial_model_"
_LOADED = ("artifact/", "code/")


class LoadingError(RuntimeError):
    """The model cannot be loaded here; the message is one sentence."""


def load_predictor(directory: Path) -> tuple[dict[str, Any], Predict]:
    """Return the manifest and the function that predicts.

    Raises:
        LoadingError: built for another Python, a file is missing or damaged, the code does not import, or the artifact does
            not load.
    """
    manifest = json.loads((directory / "model.json").read_text())
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if manifest["python"] != here:
        raise LoadingError(
            f"model {manifest['name']} {manifest['version']} was built for Python {manifest['python']}, this is Python {here}"
        )
    _check_files(directory, manifest)
    module_name, _, attribute = manifest["entry"].partition(":")
    try:
        definition = getattr(_import(directory / "code", module_name), attribute)
        return manifest, definition.load(directory / "artifact")
    except Exception as error:
        raise LoadingError(
            f"model {manifest['name']} {manifest['version']} does not load: {type(error).__name__}: {error}"
        ) from error


def _check_files(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse what is not as it was written: half a file may well load, and then answers wrong."""
    for name, digest in manifest.get("files", {}).items():
        if not name.startswith(_LOADED):
            continue
        file, what = directory / name, f"model {manifest['name']} {manifest['version']} does not load"
        if not file.is_file():
            raise LoadingError(f"{what}: it lacks {name}, which its manifest names")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise LoadingError(
                f"{what}: {name} is not the file its manifest was written for: SHA-256 {found[:12]}…, expected {digest[:12]}…"
            )


def _import(code: Path, name: str) -> ModuleType:
    """Import a module of the model's code directory, ahead of anything of the same name elsewhere."""
    flat = code / f"{name}.py"
    if not flat.is_file():
        return _import_packaged(code, name)
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{name}", flat)
    if spec is None or spec.loader is None:
        raise ImportError(f"{flat} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # What was pickled while the module had its own name is looked up by that name.
    present = sys.modules.get(name)
    if present is None or present.__name__ == spec.name:
        sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_packaged(code: Path, name: str) -> ModuleType:
    top = name.partition(".")[0]
    for loaded in [each for each in sys.modules if each == top or each.startswith(f"{top}.")]:
        if not str(getattr(sys.modules[loaded], "__file__", "")).startswith(f"{code}/"):
            del sys.modules[loaded]
    sys.path.insert(0, str(code))
    return importlib.import_module(name)
