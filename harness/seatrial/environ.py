"""An environment as others are given it, read while threads and pytest change it."""

from __future__ import annotations

import os
from collections.abc import Mapping


def copy_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is in an environment, this process's without one given.

    Targets start in threads while tests end, and pytest takes PYTEST_CURRENT_TEST out of `os.environ` after each phase of a test.
    A plain copy lists the names and then looks each up, so that it fails with KeyError for one that is gone by then.
    """
    live = os.environ if environ is None else environ
    return {name: value for name in tuple(live) if (value := live.get(name)) is not None}
