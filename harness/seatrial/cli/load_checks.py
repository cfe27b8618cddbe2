"""What only `seatrial load` is given, checked before anything is sent; the rest is in `seatrial.load.limits`."""

from __future__ import annotations

import importlib.util
from typing import Final

from seatrial.errors import UnmetRequirementError, UsageError
from seatrial.load.limits import AUTO, RATED, check_workers, read_warm_up
from seatrial.load.objectives import Objectives
from seatrial.suggestion import suggest

ENGINES: Final = ("pacer", "locust", "fast-http", "http")
LOCUSTS_OWN: Final = frozenset({"fast-http", "http"})
"""Engines that are Locust's own users."""


def check_engine(engine: str, workers: int, *, users: int | None, judged: bool) -> None:
    """Check that there is such an engine, and that it can do what is asked; `judged`: there is an objective.

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
    if engine in LOCUSTS_OWN and users is None:
        raise UsageError(f"the engine {engine} has users and no schedule: Locust's own users wait", fix="--users N")
    if judged and (workers > 1 or engine != "pacer"):
        raise UsageError(
            "--objective and --find-rate look at all samples while they come, which one pacer does",
            fix="leave --workers and --engine out",
        )


def choose_warm_up(given: str | None, engine: str) -> float | None:
    """Return the seconds of the warm-up, None for one that lasts until times are level; not given, by the engine.

    Locust's own users cannot be told when to begin the window.

    Raises:
        UsageError: it is neither seconds nor auto, or auto for an engine that has none.
    """
    is_locusts_own = engine in LOCUSTS_OWN
    if given is None:
        return 0.0 if is_locusts_own else None
    warm_up_s = read_warm_up(given)
    if warm_up_s is None and is_locusts_own:
        raise UsageError(
            f"--warm-up {AUTO} was given, and the engine {engine} cannot be told when to begin the window",
            fix="--warm-up SECONDS, or the engine pacer or locust",
        )
    return warm_up_s


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
