"""What `seatrial load` is given, checked before anything is sent."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from seatrial.errors import UnmetRequirementError, UsageError
from seatrial.suggestion import suggest

ENGINES: Final = ("pacer", "locust", "fast-http", "http")
AUTO: Final = "auto"
_MAX_SECONDS: Final = 86_400.0
_MAX_USERS: Final = 10_000
_MAX_WORKERS: Final = 64
_MAX_BODY_BYTES: Final = 64 << 20
_RATELESS: Final = ("ramp:", "steps:", "trace:")


def check_engine(engine: str, workers: int, *, open_loop: bool, conducted: bool) -> None:
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


def check_choice(rate: float | None, users: int | None, arrivals: str) -> None:
    """Raise UsageError when both kinds of load are given, or none, or a number of users that is none."""
    has_rate = rate is not None or arrivals.startswith(_RATELESS)
    if has_rate == (users is not None):
        raise UsageError(
            "both --rate and --users were given, they are two kinds of load"
            if has_rate
            else "neither --rate nor --users was given",
            fix="--rate R for latency under a rate, or --users N for capacity",
        )
    if users is not None and not 1 <= users <= _MAX_USERS:
        raise UsageError(f"--users is {users}, 1 to {_MAX_USERS:,} were expected")


def check_seconds(**seconds: float) -> None:
    """Raise UsageError for seconds that an option cannot have."""
    for name, value in seconds.items():
        least = "above 0" if name in {"duration", "timeout"} else "0 or more"
        if not (0 <= value <= _MAX_SECONDS) or (value == 0 and least == "above 0"):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value:g} seconds, {least} and at most {_MAX_SECONDS:g} were expected"
            )


def check_certificates(ca_file: str) -> None:
    """Raise UsageError when the file of certificates is none."""
    if ca_file and not Path(ca_file).is_file():
        raise UsageError(f"the certificates {ca_file!r} are no file")


def read_body(given: str) -> bytes:
    """Return the body that an option means, text or @FILE. Raises UsageError."""
    if not given.startswith("@"):
        return given.encode()
    path = Path(given[1:])
    if not path.is_file():
        raise UsageError(f"the body's file {given[1:]!r} is not there, or no file")
    if path.stat().st_size > _MAX_BODY_BYTES:
        raise UsageError(f"the body's file {given[1:]!r} is over {_MAX_BODY_BYTES >> 20} MB long")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the body's file {given[1:]!r} cannot be read: {error}") from error
