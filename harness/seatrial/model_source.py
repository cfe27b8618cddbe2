"""Turns the name of a model into model directories, one for each version.

Ways to name one: a registered name (`digits`), `package.module:attribute`, a path to a model directory, an MLflow model
directory, an ONNX file (`onnx:net.onnx`, a path that ends in `.onnx`, or `onnx:` and the name of a net that the onnx package
ships). Model code runs only in a child process (`seatrial.model_child`) that can reach neither the Docker socket nor
credentials.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.environ import copy_environ
from seatrial.errors import ModelError
from seatrial.isolation import clean_environ
from seatrial.model import MANIFEST_NAME, ModelDirectory
from seatrial.model_formats.onnx_nets import find_bundled_net
from seatrial.owner import Ownership
from seatrial.suggestion import suggest

MODELS_GROUP = "seatrial.models"
BUILD_TIMEOUT_S = 300.0
_QUOTED_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model by name, not yet built: `kind` is `python`, `directory`, `mlflow` or `onnx`, `locator` what that kind reads."""

    given: str
    kind: str
    locator: str

    @property
    def origin(self) -> str:
        """Whose code will run, as one phrase."""
        if self.kind == "onnx":
            return f"the ONNX file {self.locator} in onnxruntime"
        return f"the code of {self.locator}" + (" (bundled)" if self.locator.startswith("seatrial_fixtures.") else "")


def registered_models() -> dict[str, str]:
    """Return the registered models: `module:attribute` by name."""
    return {entry.name: entry.value for entry in importlib.metadata.entry_points(group=MODELS_GROUP)}


def find_model(name: str) -> ModelSource:
    """Tell what kind of model a name means, without running any of its code.

    Raises:
        ModelError: nothing has that name.
    """
    registered = registered_models()
    if name in registered:
        return ModelSource(given=name, kind="python", locator=registered[name])
    path = Path(name.removeprefix("onnx:"))
    if name.startswith("onnx:") or name.endswith(".onnx"):
        if not path.is_file():
            path = find_bundled_net(str(path)) or path
        if not path.is_file():
            raise ModelError(
                f"there is no ONNX file {path}",
                fix="give its path, or the name of a net that the onnx package ships, like onnx:test_Conv2d",
            )
        return ModelSource(given=name, kind="onnx", locator=str(path.resolve()))
    if (path / MANIFEST_NAME).is_file():
        return ModelSource(given=name, kind="directory", locator=str(path.resolve()))
    if (path / "MLmodel").is_file():
        return ModelSource(given=name, kind="mlflow", locator=str(path.resolve()))
    if path.is_dir():
        raise ModelError(
            f"{path} holds neither {MANIFEST_NAME} nor MLmodel, so it is no model directory",
            fix="name a directory that `seatrial build` or MLflow wrote",
        )
    module, colon, attribute = name.partition(":")
    if colon and module and attribute:
        return ModelSource(given=name, kind="python", locator=name)
    raise ModelError(
        f"there is no model {name!r}.{suggest(name, registered)}",
        fix="give one of these, package.module:attribute, a model directory, or an .onnx file",
    )


def build_model(
    source: ModelSource, out: Path, ownership: Ownership, *, timeout_s: float = BUILD_TIMEOUT_S
) -> Sequence[ModelDirectory]:
    """Build every version of a model below `out` and return their directories, the one to deploy first.

    What its code printed stays in `out/build.log`.

    Raises:
        ModelError: it does not import, build, load, or answer as its signature says; the message has the child's own words.
    """
    if source.kind == "directory":
        return (ModelDirectory.open(Path(source.locator)),)
    out.mkdir(parents=True, exist_ok=True)
    result, log = out / "build.json", out / "build.log"
    argv = [sys.executable, "-m", "seatrial.model_child", source.kind, source.locator, str(out)]
    # Files, not pipes: what the code leaves running could hold a pipe open for ever.
    with result.open("wb") as stdout, log.open("wb") as stderr:
        child = ownership.spawn(argv, env=_child_environment(), stdout=stdout, stderr=stderr)
    try:
        returncode = child.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"building the model {source.given} took more than {timeout_s:g} s{_quote(log)}",
            fix="make its import, build, load and predict return; each golden case is answered once",
        ) from error
    finally:
        ownership.end(child, grace_s=1.0)
    return _read_result(source, returncode, result, log)


def _read_result(source: ModelSource, returncode: int, result: Path, log: Path) -> Sequence[ModelDirectory]:
    try:
        answer = json.loads(result.read_text().strip().splitlines()[-1])
    except (IndexError, ValueError):
        answer = {"error": _describe_end(returncode)}
    if "error" in answer:
        raise ModelError(f"model {source.given}: {answer['error']}{_quote(log)}")
    return tuple(ModelDirectory.open(Path(path)) for path in answer["directories"])


def _describe_end(returncode: int) -> str:
    if returncode >= 0:
        return f"its code ended the process that builds it, with code {returncode}"
    name = signal.Signals(-returncode).name
    why = " (often: not enough memory)" if name == "SIGKILL" else ""
    return f"its code made the process that builds it die of {name}{why}"


def _quote(log: Path) -> str:
    """The last lines of what the code printed, to stand under a message."""
    lines = log.read_text(errors="replace").strip().splitlines()[-_QUOTED_LINES:]
    return "".join(f"\n  | {line}" for line in lines)


def _child_environment() -> dict[str, str]:
    kept = clean_environ(copy_environ())
    paths = [entry for entry in (str(Path.cwd()), kept.get("PYTHONPATH", "")) if entry]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
