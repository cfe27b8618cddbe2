"""The Python that travels with a model: which files, and proof that they are enough.

A deployment has the copy and what its requirements install, not the checkout that the model came from. So the model is
loaded from the copy while everything else of that checkout is out of reach: what was left behind is missed here, not there.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import importlib.util
import inspect
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

# Containers have seatrial too, and a checkout of it may hold the model's own.
_OURS = ("seatrial",)
_LEFT_BEHIND = ("__pycache__", "*.pyc", ".git", ".venv", "node_modules", ".*_cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOrigin:
    """Where a model's module came from: its top-level name, and the directory that name was found in."""

    top: str
    root: Path

    @classmethod
    def of(cls, module: ModuleType) -> CodeOrigin:
        """Tell where an imported module came from."""
        top = module.__name__.partition(".")[0]
        file = Path(inspect.getfile(module)).resolve()
        depth = module.__name__.count(".") + (1 if hasattr(module, "__path__") else 0)
        return cls(top=top, root=file.parents[depth])

    def covers(self, name: str, origin: str | None) -> bool:
        """Tell whether a module called `name`, found at `origin`, belongs to the checkout the model came from."""
        if name.partition(".")[0] == self.top:
            return True
        if origin is None or name.partition(".")[0] in _OURS or _is_installed(self.root):
            return False
        return Path(origin).is_relative_to(self.root) and not _is_installed(Path(origin))


def copy_code(module: ModuleType, code: Path, *, package: bool) -> str:
    """Copy a module, or its whole top-level package, into `code`; return the module's name there.

    A module that is a package itself is always copied whole, for it is nothing without its files.
    """
    code.mkdir()
    file = Path(inspect.getfile(module))
    if not hasattr(module, "__path__") and not (package and "." in module.__name__):
        shutil.copy(file, code / file.name)
        return file.stem
    origin = CodeOrigin.of(module)
    shutil.copytree(origin.root / origin.top, code / origin.top, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    return module.__name__


@contextlib.contextmanager
def only_carried(origin: CodeOrigin, code: Path) -> Iterator[None]:
    """Within it, modules of `origin` are found in `code` or not at all."""
    hidden = {
        name: module
        for name, module in list(sys.modules.items())
        if origin.covers(name, vars(module).get("__file__")) and name != "__main__"
    }
    for name in hidden:
        del sys.modules[name]
    path, finder = sys.path[:], _CarriedFinder(origin, code)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.path[:] = path
        for name in [name for name in sys.modules if name.partition(".")[0] == origin.top]:
            del sys.modules[name]
        sys.modules.update(hidden)


class _CarriedFinder:
    """Finds modules of the checkout in the copy, and refuses those that the copy lacks."""

    def __init__(self, origin: CodeOrigin, code: Path) -> None:
        self._origin = origin
        self._code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        carried = importlib.machinery.PathFinder.find_spec(name, path or [str(self._code)], target)
        if carried is not None and carried.origin and Path(carried.origin).is_relative_to(self._code):
            return carried
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        if (found is not None or name == self._origin.top) and self._origin.covers(
            name, found.origin if found else None
        ):
            raise ModuleNotFoundError(
                f"{name} is not carried along with the model; package=True carries the whole top-level package",
                name=name,
            )
        return None


def _is_installed(path: Path) -> bool:
    return any(path.is_relative_to(installed) for installed in _installed_roots())


@functools.cache
def _installed_roots() -> frozenset[Path]:
    paths = (Path(sysconfig.get_path(key)) for key in ("purelib", "platlib", "stdlib"))
    return frozenset(root for path in paths for root in (path, path.resolve()))
