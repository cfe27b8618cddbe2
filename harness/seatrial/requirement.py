"""What a target needs on the machine, and whether it is there."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing a target needs.

    `detail` is what was found, or what was looked for; `fix` is the way to get it, empty when it is there.
    """

    name: str
    found: bool
    detail: str
    fix: str = ""


def probe_packages(extra: str, *modules: str) -> Requirement:
    """Tell whether the Python packages of an extra can be imported, without importing them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        detail = f"not importable: {', '.join(missing)}"
        return Requirement(name=f"extra {extra}", found=False, detail=detail, fix=f"pip install 'seatrial[{extra}]'")
    return Requirement(name=f"extra {extra}", found=True, detail=", ".join(modules))
