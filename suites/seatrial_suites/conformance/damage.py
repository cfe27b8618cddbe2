"""Model directories with a damaged artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seatrial.model import ModelDirectory

_ARTIFACT = "artifact/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A copy of a model: what was done to it, and to which file of it. Its manifest is that of the whole one."""

    what: str
    file: str
    model: ModelDirectory


def list_damaged(model: ModelDirectory, directory: Path) -> list[Damaged]:
    """Write damaged copies of a model below `directory`: the largest file of its artifact is cut off, or missing.

    Returns none when the artifact has no file that could be damaged.
    """
    sizes = {name: (model.path / name).stat().st_size for name in model.manifest.files if name.startswith(_ARTIFACT)}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if not largest or not sizes[largest]:
        return []
    return [
        _damage(model, directory / f"damaged-{number}", largest, what, spoil)
        for number, (what, spoil) in enumerate(_KINDS.items())
    ]


def _damage(model: ModelDirectory, path: Path, file: str, what: str, spoil: Callable[[Path], None]) -> Damaged:
    shutil.copytree(model.path, path)
    spoil(path / file)
    # Not `ModelDirectory.open`, which would refuse it: it is for the target to do so.
    return Damaged(what=what, file=file, model=ModelDirectory(path=path, manifest=model.manifest))


def _cut_off(file: Path) -> None:
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.unlink()
    file.write_bytes(half)


_KINDS: dict[str, Callable[[Path], None]] = {"a file cut off": _cut_off, "a file missing": Path.unlink}
