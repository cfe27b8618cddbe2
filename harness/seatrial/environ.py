"""This process's environment as others are given it, read while threads and pytest change it."""

from __future__ import annotations

import os


def copy_environ() -> dict[str, str]:
    """Return what is in this process's environment.

    Targets start in threads while tests end, and pytest takes PYTEST_CURRENT_TEST out of `os.environ` after each phase of a test.
    A plain copy lists the names and then looks each up, so that it fails with KeyError for one that is gone by then.
    """
    return {name: value for name in tuple(os.environ) if (value := os.environ.get(name)) is not None}
