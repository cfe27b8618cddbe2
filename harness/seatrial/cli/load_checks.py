"""What only `seatrial load` is given, checked before anything is sent; the rest is in `seatrial.load.limits`."""

from __future__ import annotations

import importlib.util
from typing import Final

from seatrial.errors import UnmetRequirementError, UsageError
from seatrial.load.limits import check_workers
from seatrial.suggestion import suggest

ENGINES: Final = ("pacer", "locust", "fast-http", "http")
AUTO: Final = "auto"


def check_engine(engine: str, workers: int, *, open_loop: bool, conducted: bool) -> None:
    """Check that there is such an engine, and that it can do what is asked.

    Raises:
        UsageError: no such engine, a number of workers that is none, options that do not go together.
        UnmetRequirementError: it needs Locust, which is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}.{suggest(engine, ENGINES)}")
    check_workers(workers)
    if (engine != "pacer" or workers > 1) and importlib.util.find_spec("locust") is None:
        raise UnmetRequirementError(
            "another engine than the pacer, and more than one worker, need Locust, which is not installed",
            fix="pip install 'seatrial[load]'",
        )
    if workers > 1 and engine not in {"locust", "pacer"}:
        raise UsageError(f"the engine {engine} has one worker", fix="--engine locust, or no --workers")
    if engine in {"fast-http", "http"} and open_loop:
        raise UsageError(f"the engine {engine} has users and no schedule: Locust's own users wait", fix="--users N")
    if conducted and (workers > 1 or engine != "pacer"):
        raise UsageError(
            "--warm-up auto, --objective and --find-rate look at all samples while they come, which one pacer does",
            fix="leave --workers and --engine out",
        )


def read_warm_up(given: str) -> float | None:
    """Return the seconds of a warm-up; None for `auto`. Raises UsageError."""
    if given == AUTO:
        return None
    try:
        return float(given)
    except ValueError:
        raise UsageError(f"--warm-up is {given!r}, seconds or {AUTO} were expected") from None
