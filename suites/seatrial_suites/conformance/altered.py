"""Copies of a model whose code loads otherwise: slowly, or never. What they answer, once they are loaded, is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from seatrial.model import MANIFEST_NAME, ModelDirectory, hash_tree
from seatrial.target import Deployment

Deploy = Callable[[ModelDirectory], AbstractContextManager[Deployment]]
"""What the fixture `seatrial_deploy` gives."""
REASON = "seatrial made this version fail as it loads"
"""What a model says that does not load."""
_MODULE = "seatrial_altered"
# The model's module is found beside this one, ahead of one of the same name that another version left loaded.
_CODE = """import pathlib
import sys
import time

{before}
sys.path.insert(0, str(pathlib.Path(__file__).parent))
for name in [each for each in sys.modules if each == "{top}" or each.startswith("{top}.")]:
    del sys.modules[name]
from {module} import {attribute} as model
"""


def copy_slow(model: ModelDirectory, directory: Path, load_s: float) -> ModelDirectory:
    """Write a copy of a model that takes some seconds longer to load."""
    return _copy(model, directory, f"time.sleep({load_s!r})")


def copy_failing(model: ModelDirectory, directory: Path) -> ModelDirectory:
    """Write a copy of a model that is whole and does not load, for `REASON`."""
    return _copy(model, directory, f"raise RuntimeError({REASON!r})")


def _copy(model: ModelDirectory, directory: Path, before: str) -> ModelDirectory:
    """Copy a model, with a module in front of its own; MLflow then wraps its code, whatever flavor it had."""
    module, _, attribute = model.manifest.entry.partition(":")
    shutil.copytree(model.path, directory)
    code = _CODE.format(before=before, top=module.partition(".")[0], module=module, attribute=attribute)
    (directory / "code" / f"{_MODULE}.py").write_text(code, encoding="utf-8")
    manifest = msgspec.structs.replace(
        model.manifest, entry=f"{_MODULE}:model", flavor="pyfunc", files=hash_tree(directory)
    )
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return ModelDirectory.open(directory)
