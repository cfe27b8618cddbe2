"""Copies of a model whose code loads slowly, or never, or tells when it is at work. What they answer is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

import msgspec

from seatrial.model import MANIFEST_NAME, ModelDirectory, hash_tree
from seatrial.target import Deployment
from seatrial_suites.conformance import at_work

Deploy = Callable[[ModelDirectory], AbstractContextManager[Deployment]]
"""What the fixture `seatrial_deploy` gives."""
REASON = "seatrial made this version fail as it loads"
"""What a model says that does not load."""
_MODULE = "seatrial_altered"
_AT_WORK = "seatrial_at_work"
_NONE: Mapping[str, Path] = MappingProxyType({})
# The model's module is found beside this one, ahead of one of the same name that another version left loaded.
_CODE = """import pathlib
import sys
import time

{before}
sys.path.insert(0, str(pathlib.Path(__file__).parent))
for name in [each for each in sys.modules if each == "{top}" or each.startswith("{top}.")]:
    del sys.modules[name]
from {module} import {attribute} as model
{after}
"""


def copy_slow(model: ModelDirectory, directory: Path, load_s: float) -> ModelDirectory:
    """Write a copy of a model that takes some seconds longer to load."""
    return _copy(model, directory, before=f"time.sleep({load_s!r})")


def copy_failing(model: ModelDirectory, directory: Path) -> ModelDirectory:
    """Write a copy of a model that is whole and does not load, for `REASON`."""
    return _copy(model, directory, before=f"raise RuntimeError({REASON!r})")


def copy_at_work(
    model: ModelDirectory, directory: Path, *, expected: int, patience_s: float, hold_s: float
) -> ModelDirectory:
    """Write a copy of a model whose predictions tell when they are at work: see `at_work.AtWork`."""
    given = f"expected={expected!r}, patience_s={patience_s!r}, hold_s={hold_s!r}"
    after = f"from {_AT_WORK} import AtWork\nmodel = AtWork(model, {given})"
    return _copy(model, directory, after=after, modules={_AT_WORK: Path(at_work.__file__)})


def _copy(
    model: ModelDirectory, directory: Path, *, before: str = "", after: str = "", modules: Mapping[str, Path] = _NONE
) -> ModelDirectory:
    """Copy a model, with a module in front of its own, and `modules`; MLflow then wraps its code, whatever flavor it had."""
    module, _, attribute = model.manifest.entry.partition(":")
    shutil.copytree(model.path, directory)
    code = _CODE.format(before=before, top=module.partition(".")[0], module=module, attribute=attribute, after=after)
    for name, source in modules.items():
        shutil.copyfile(source, directory / "code" / f"{name}.py")
    (directory / "code" / f"{_MODULE}.py").write_text(code, encoding="utf-8")
    manifest = msgspec.structs.replace(
        model.manifest, entry=f"{_MODULE}:model", flavor="pyfunc", files=hash_tree(directory)
    )
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return ModelDirectory.open(directory)
