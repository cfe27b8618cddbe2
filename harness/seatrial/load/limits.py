"""What may be asked of a load run, by `seatrial load` and by Locust's options alike: the names are those of who asks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from seatrial.errors import UsageError

MAX_SECONDS: Final = 86_400.0
MAX_USERS: Final = 10_000
MAX_WORKERS: Final = 64
MAX_BODY_BYTES: Final = 64 << 20
_RATED: Final = ("ramp:", "steps:", "trace:")


def check_kind(rate: float | None, users: int | None, arrivals: str, *, prefix: str = "--") -> bool:
    """Return whether the loop is open.

    Args:
        rate: requests a second; None when not given.
        users: of a closed loop; None when not given.
        arrivals: the law; some bring their rates.
        prefix: of the options.

    Raises:
        UsageError: both kinds of load are given, or none, or a number of users that is none.
    """
    brings_rates = arrivals.startswith(_RATED)
    if brings_rates and rate is not None:
        raise UsageError(f"arrivals {arrivals} bring their rates, and {prefix}rate was given too", fix="leave one out")
    if (rate is not None or brings_rates) == (users is not None):
        raise UsageError(
            f"neither {prefix}rate nor {prefix}users was given"
            if users is None
            else f"both {'arrivals with rates' if brings_rates else f'{prefix}rate'} and {prefix}users were given, "
            "they are two kinds of load",
            fix=f"{prefix}rate R for latency under a rate, or {prefix}users N for capacity",
        )
    if users is not None and not 1 <= users <= MAX_USERS:
        raise UsageError(f"{prefix}users is {users}, 1 to {MAX_USERS:,} were expected")
    return users is None


def check_workers(workers: int) -> None:
    """Raise UsageError for a number of workers that is none, or too many."""
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"--workers is {workers}, 1 to {MAX_WORKERS} were expected")


def check_seconds(seconds: dict[str, float], *, prefix: str = "--") -> None:
    """Raise UsageError for seconds that an option cannot have; by the option's name without its prefix."""
    for name, value in seconds.items():
        positive = name in {"duration", "timeout"}
        if not 0 <= value <= MAX_SECONDS or (positive and value == 0):
            least = "above 0" if positive else "0 or more"
            raise UsageError(f"{prefix}{name} is {value:g} seconds, {least} and at most {MAX_SECONDS:g} were expected")


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
    if path.stat().st_size > MAX_BODY_BYTES:
        raise UsageError(f"the body's file {given[1:]!r} is over {MAX_BODY_BYTES >> 20} MB long")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the body's file {given[1:]!r} cannot be read: {error}") from error


def check_writable(file: str) -> None:
    """Return when a result could be written there; empty is nowhere, `-` is standard output. To be asked before the work.

    Raises:
        UsageError: it is a directory, or in none that may be written to.
    """
    if file in {"", "-"}:
        return
    directory = Path(file).parent
    if Path(file).is_dir() or not directory.is_dir() or not os.access(directory, os.W_OK):
        raise UsageError(f"{file!r} cannot be written: a file in a directory that is there was expected")
