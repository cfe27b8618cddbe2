"""Directories and files of a trial: what may be removed, and how."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

OWNED = ".seatrial-owned"
"""Name of the file that makes a directory outside the temporary directory removable; it holds the trial's id."""


def may_remove(path: Path, *, temp_dir: Path, trial_id: str) -> bool:
    """Return whether `path` is below the temporary directory, or in (or is) a directory marked by this trial.

    Links in the way are resolved first, so that one inside the temporary directory leads nowhere else.
    """
    place = path.parent.resolve() / path.name
    if temp_dir.resolve() in place.parents:
        return True
    return any(_is_marked(folder, trial_id) for folder in (place, *place.parents))


def _is_marked(folder: Path, trial_id: str) -> bool:
    try:
        return not folder.is_symlink() and (folder / OWNED).read_text().strip() == trial_id
    except (OSError, UnicodeDecodeError):
        return False


def mark(folder: Path, trial_id: str) -> None:
    """Mark `folder` as the trial's, so that the reaper may remove it wherever it lies."""
    (folder / OWNED).write_text(trial_id + "\n")


def remove(path: Path) -> None:
    """Remove a directory with all in it, a link (not what it points to) or a file. Raises OSError."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if mounted := _find_mount(path):
        raise OSError(f"{mounted} is mounted inside")
    shutil.rmtree(path, onerror=_open_and_retry)


def _find_mount(path: Path) -> str:
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    inside = f"{path.resolve()}/"
    points = (line.split()[1].encode().decode("unicode_escape") for line in mounts)
    return next((each for each in points if f"{each}/".startswith(inside)), "")


def _open_and_retry(function: Callable[..., Any], path: str, error: Any) -> None:
    """Make a read-only directory writable and try again: `chmod 555` inside must not keep the whole."""
    if isinstance(error[1], FileNotFoundError):
        return
    for each in (os.path.dirname(path), path):  # noqa: PTH120
        if not os.path.islink(each):  # noqa: PTH114
            os.chmod(each, stat.S_IRWXU)  # noqa: PTH101
    if function in {os.open, os.scandir, os.lstat}:
        shutil.rmtree(path)
    else:
        function(path)
