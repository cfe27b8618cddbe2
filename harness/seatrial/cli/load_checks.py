"""What only `seatrial load` is given, checked before anything is sent; the rest is in `seatrial.load.limits`."""

from __future__ import annotations

import importlib.util
from typing import Final

from seatrial.errors import UnmetRequirementError, UsageError
from seatrial.load.limits import RATED, check_workers
from seatrial.load.objectives import Objectives
from seatrial.suggestion import suggest

ENGINES: Final = ("pacer", "locust", "fast-http", "http")
AUTO: Final = "auto"


def check_engine(engine: str, workers: int, *, users: int | None, conducted: bool) -> None:
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
    if users is not None and users < workers:
        raise UsageError(f"{users} users cannot be shared by {workers} workers", fix="more --users, or fewer --workers")
    if engine in {"fast-http", "http"} and users is None:
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


def check_think(users: int | None, think_s: float) -> None:
    """Raise UsageError when somebody is to think, and nobody waits for answers."""
    if users is None and think_s:
        raise UsageError(
            "--think was given without --users: a schedule sends whatever the server does", fix="leave --think out"
        )


def check_objective(objectives: Objectives | None, arrivals: str | None, *, whole: bool, find_rate: bool) -> None:
    """Raise UsageError for what has no meaning without an objective, or with arrivals that have rates of their own."""
    if whole and objectives is None:
        raise UsageError("--whole was given without --objective: the window is whole already", fix="leave --whole out")
    if find_rate and arrivals is not None and arrivals.startswith(RATED):
        raise UsageError(
            f"--find-rate was given with --arrivals {arrivals}, which has rates of its own",
            fix="--arrivals poisson, constant or gamma:SHAPE",
        )
