"""What `seatrial load` is given, checked before anything is sent."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from seatrial.errors import UnmetRequirementError, UsageError
from seatrial.load.objectives import Objectives
from seatrial.suggestion import suggest

ENGINES: Final = ("pacer", "locust", "fast-http", "http")
AUTO: Final = "auto"
_MAX_SECONDS: Final = 86_400.0
_MAX_USERS: Final = 10_000
_MAX_WORKERS: Final = 64
_MAX_BODY_BYTES: Final = 64 << 20
_RATELESS: Final = ("ramp:", "steps:", "trace:")
_CHOICE: Final = "--rate R for latency under a rate, or --users N for capacity"


def check_engine(engine: str, workers: int, *, users: int | None, conducted: bool) -> None:
    """Check that there is such an engine, and that it can do what is asked.

    Raises:
        UsageError: no such engine, a number of workers that is none, options that do not go together.
        UnmetRequirementError: it needs Locust, which is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}.{suggest(engine, ENGINES)}")
    if not 1 <= workers <= _MAX_WORKERS:
        raise UsageError(f"--workers is {workers}, 1 to {_MAX_WORKERS} were expected")
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


def check_choice(rate: float | None, users: int | None, arrivals: str | None, think_s: float) -> None:
    """Raise UsageError when both kinds of load are given, none, what only the other has, or a number of users that is none."""
    has_own_rate = arrivals is not None and arrivals.startswith(_RATELESS)
    if rate is not None and users is not None:
        raise UsageError("both --rate and --users were given, they are two kinds of load", fix=_CHOICE)
    if users is not None and arrivals is not None:
        raise UsageError("both --arrivals and --users were given: users send when they have their answers", fix=_CHOICE)
    if rate is None and users is None and not has_own_rate:
        raise UsageError("neither --rate nor --users was given", fix=_CHOICE)
    if users is not None and not 1 <= users <= _MAX_USERS:
        raise UsageError(f"--users is {users}, 1 to {_MAX_USERS:,} were expected")
    if rate is not None and has_own_rate:
        raise UsageError(
            f"--rate was given, and --arrivals {arrivals} has rates of its own", fix="leave one of them out"
        )
    if users is None and think_s:
        raise UsageError(
            "--think was given without --users: a schedule sends whatever the server does", fix="leave --think out"
        )


def check_objective(objectives: Objectives | None, arrivals: str | None, *, whole: bool, find_rate: bool) -> None:
    """Raise UsageError for what has no meaning without an objective, or with arrivals that have rates of their own."""
    if whole and objectives is None:
        raise UsageError("--whole was given without --objective: the window is whole already", fix="leave --whole out")
    if find_rate and arrivals is not None and arrivals.startswith(_RATELESS):
        raise UsageError(
            f"--find-rate was given with --arrivals {arrivals}, which has rates of its own",
            fix="--arrivals poisson, constant or gamma:SHAPE",
        )


def check_seconds(**seconds: float) -> None:
    """Raise UsageError for seconds that an option cannot have."""
    for name, value in seconds.items():
        least = "above 0" if name in {"duration", "timeout"} else "0 or more"
        if not (0 <= value <= _MAX_SECONDS) or (value == 0 and least == "above 0"):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value:g} seconds, {least} and at most {_MAX_SECONDS:g} were expected"
            )


def check_certificates(ca_file: str, url: str) -> None:
    """Raise UsageError when the file of certificates holds none, or there is nothing to hold against them."""
    if not ca_file:
        return
    import ssl

    if not url.lower().startswith("https:"):
        raise UsageError("--ca-file was given, and the URL is none of https", fix="give the URL with https://")
    try:
        ssl.create_default_context().load_verify_locations(ca_file)
    except ssl.SSLError:
        raise UsageError(
            f"the file {ca_file!r} holds no certificates", fix="give a file of certificates in PEM"
        ) from None
    except OSError as error:
        raise UsageError(f"the certificates {ca_file!r} cannot be read: {error.strerror}") from error


def read_body(given: str) -> bytes:
    """Return the body that an option means, text or @FILE. Raises UsageError."""
    if not given.startswith("@"):
        return given.encode()
    path = Path(given[1:])
    try:
        if not path.is_file():
            why = "it is no file" if path.exists() else "it is not there"
            raise UsageError(f"the body's file {given[1:]!r} cannot be read: {why}")
        if path.stat().st_size > _MAX_BODY_BYTES:
            raise UsageError(f"the body's file {given[1:]!r} is over {_MAX_BODY_BYTES >> 20} MB long")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"the body's file {given[1:]!r} cannot be read: {why}") from error
