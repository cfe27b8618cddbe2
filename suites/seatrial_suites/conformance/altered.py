"""Copies of a model whose code does otherwise: loads slowly, or never, takes memory, or tells when it is at work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

import msgspec

from seatrial.model import CASES_NAME, MANIFEST_NAME, Arrays, Case, ModelDirectory, encode_cases, hash_tree
from seatrial.target import Deployment
from seatrial_suites.conformance import at_work
from seatrial_suites.conformance.asking import have_same_inputs

Deploy = Callable[[ModelDirectory], AbstractContextManager[Deployment]]
"""What the fixture `seatrial_deploy` gives."""
Turn = Callable[[], AbstractContextManager[None]]
"""What the fixture `seatrial_turn` gives."""
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
{after}"""
_STEP_BYTES = 16 << 20
# Whoever gets the golden answer in the end knows that the question was not seen here.
_GREEDY = """
import numpy

nan, inf = float("nan"), float("inf")
own, GREEDY, INSTEAD = model, {greedy}, {instead}


class Greedy:
    def load(self, directory):
        predict = own.load(directory)

        def answer(tensors):
            if not all(numpy.array_equal(tensors.get(name), array) for name, array in GREEDY.items()):
                return predict(tensors)
            taken = [b"\\1" * {step_bytes} for _ in range({steps})]
            return predict(INSTEAD)

        return answer


model = Greedy()
"""


def copy_slow(model: ModelDirectory, directory: Path, load_s: float) -> ModelDirectory:
    """Write a copy of a model that takes some seconds longer to load."""
    return _copy(model, directory, before=f"time.sleep({load_s!r})")


def copy_failing(model: ModelDirectory, directory: Path) -> ModelDirectory:
    """Write a copy of a model that is whole and does not load, for `REASON`."""
    return _copy(model, directory, before=f"raise RuntimeError({REASON!r})")


def copy_greedy(model: ModelDirectory, directory: Path, case: Case, size_bytes: int) -> ModelDirectory:
    """Write a copy of a model that takes so much memory, step by step, when it is asked the inputs of a case.

    It writes to all of it, for what is never written to is not taken. If it has got it all, it answers as to the first golden
    case and gives it back. The case is none of its golden ones, so that nobody asks it unawares.
    """
    kept = [each for each in model.cases if not have_same_inputs(each, case)]
    greedy = _GREEDY.format(
        greedy=_write_arrays(case.inputs),
        instead=_write_arrays(model.cases[0].inputs),
        step_bytes=_STEP_BYTES,
        steps=-(-size_bytes // _STEP_BYTES),
    )
    return _copy(model, directory, after=greedy, cases=kept)


def _write_arrays(arrays: Arrays) -> str:
    """Return arrays by name as Python, where `numpy`, `nan` and `inf` are defined."""
    written = (
        f"{name!r}: numpy.array({array.ravel().tolist()!r}, dtype={array.dtype.name!r}).reshape({array.shape!r})"
        for name, array in arrays.items()
    )
    return f"{{{', '.join(written)}}}"


def copy_at_work(
    model: ModelDirectory, directory: Path, *, expected: int, patience_s: float, hold_s: float
) -> ModelDirectory:
    """Write a copy of a model whose predictions tell when they are at work: see `at_work.AtWork`."""
    given = f"expected={expected!r}, patience_s={patience_s!r}, hold_s={hold_s!r}"
    after = f"from {_AT_WORK} import AtWork\nmodel = AtWork(model, {given})\n"
    return _copy(model, directory, after=after, modules={_AT_WORK: Path(at_work.__file__)})


def _copy(
    model: ModelDirectory,
    directory: Path,
    *,
    before: str = "",
    after: str = "",
    cases: Sequence[Case] = (),
    modules: Mapping[str, Path] = _NONE,
) -> ModelDirectory:
    """Copy a model, with a module in front of its own; MLflow then wraps its code, whatever flavor it had.

    Args:
        model: what is copied.
        directory: does not exist yet.
        before: Python that runs before its module is imported.
        after: Python that finds it as `model`, and may put another in its place.
        cases: its golden cases, where they are not the model's.
        modules: files that are copied along, by the names that they are imported by.
    """
    module, _, attribute = model.manifest.entry.partition(":")
    shutil.copytree(model.path, directory)
    top = module.partition(".")[0]
    code = _CODE.format(before=before, top=top, module=module, attribute=attribute, after=after)
    for name, source in modules.items():
        shutil.copyfile(source, directory / "code" / f"{name}.py")
    (directory / "code" / f"{_MODULE}.py").write_text(code, encoding="utf-8")
    if cases:
        (directory / CASES_NAME).write_bytes(encode_cases(list(cases), model.manifest))
    manifest = msgspec.structs.replace(
        model.manifest, entry=f"{_MODULE}:model", flavor="pyfunc", files=hash_tree(directory)
    )
    (directory / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return ModelDirectory.open(directory)
