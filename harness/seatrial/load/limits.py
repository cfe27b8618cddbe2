"""What may be asked of a load run, by `seatrial load` and by Locust's options alike: the names are those of who asks."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from seatrial.errors import UsageError
from seatrial.load.result_file import find_place, is_special

MAX_SECONDS: Final = 86_400.0
MAX_USERS: Final = 10_000
MAX_WORKERS: Final = 64
MAX_BODY_BYTES: Final = 64 << 20
RATED: Final = ("ramp:", "steps:", "trace:")
AUTO: Final = "auto"
"""A warm-up that lasts until response times are level."""


def check_kind(rate: float | None, users: int | None, arrivals: str | None, *, prefix: str = "--") -> bool:
    """Return whether the loop is open.

    Args:
        rate: requests a second; None when not given.
        users: of a closed loop; None when not given.
        arrivals: the law; some bring their rates; None when not given.
        prefix: of the options.

    Raises:
        UsageError: both kinds of load are given, or none, what only the other has, or a number of users that is none.
    """
    fix = f"{prefix}rate R for latency under a rate, or {prefix}users N for capacity"
    brings_rates = arrivals is not None and arrivals.startswith(RATED)
    if rate is not None and users is not None:
        raise UsageError(f"both {prefix}rate and {prefix}users were given, they are two kinds of load", fix=fix)
    if users is not None and arrivals is not None:
        why = "users send when they have their answers"
        raise UsageError(f"both {prefix}arrivals and {prefix}users were given: {why}", fix=fix)
    if rate is None and users is None and not brings_rates:
        raise UsageError(f"neither {prefix}rate nor {prefix}users was given", fix=fix)
    if users is not None and not 1 <= users <= MAX_USERS:
        raise UsageError(f"{prefix}users is {users}, 1 to {MAX_USERS:,} were expected")
    if rate is not None and brings_rates:
        what = f"{prefix}rate was given, and {prefix}arrivals {arrivals} has rates of its own"
        raise UsageError(what, fix="leave one of them out")
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


def read_warm_up(given: str, *, prefix: str = "--") -> float | None:
    """Return the seconds of a warm-up; None for `auto`. Raises UsageError."""
    if given == AUTO:
        return None
    try:
        return float(given)
    except ValueError:
        raise UsageError(f"{prefix}warm-up is {given!r}, seconds or {AUTO} were expected") from None


def check_certificates(ca_file: str, url: str, *, prefix: str = "--") -> None:
    """Raise UsageError when the file of certificates holds none, or there is nothing to hold against them."""
    if not ca_file:
        return
    if not url.lower().startswith("https:"):
        raise UsageError(f"{prefix}ca-file was given, and the URL is none of https", fix="give the URL with https://")
    try:
        ssl.create_default_context().load_verify_locations(ca_file)
    except ssl.SSLError:
        what = f"the file {ca_file!r} holds no certificates"
        raise UsageError(what, fix="give a file of certificates in PEM") from None
    except OSError as error:
        raise UsageError(f"the certificates {ca_file!r} cannot be read: {error.strerror}") from error


def read_body(given: str) -> bytes:
    """Return the body that an option means, text or @FILE. Raises UsageError."""
    if not given.startswith("@"):
        return given.encode()
    check_file("the body's file", given[1:], MAX_BODY_BYTES)
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"the body's file {given[1:]!r} cannot be read: {error.strerror}") from error


def check_file(what: str, name: str, most_bytes: int) -> None:
    """Raise UsageError for what is no file, as a pipe that nobody writes to, or one of more bytes than may be read."""
    path = Path(name)
    try:
        if not path.is_file():
            why = "it is no file" if path.exists() else "it is not there"
            raise UsageError(f"{what} {name!r} cannot be read: {why}")
        size_bytes = path.stat().st_size
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{what} {name!r} cannot be read: {why}") from error
    if size_bytes > most_bytes:
        raise UsageError(f"{what} {name!r} is over {most_bytes >> 20} MB long")


def check_writable(file: str) -> None:
    """Return when a result could be written there; empty is nowhere, `-` is standard output. To be asked before the work.

    Raises:
        UsageError: it is a directory, in none that may be written to, or a device or a pipe that may not be.
    """
    if file in {"", "-"}:
        return
    path = Path(file)
    if path.is_dir():
        raise UsageError(f"{file!r} cannot be written: it is a directory, a file was expected")
    if is_special(path):
        # Asked, not opened: a pipe would wait for its reader.
        if not os.access(path, os.W_OK):
            raise UsageError(f"{file!r} cannot be written: it may not be written to")
        return
    directory = find_place(path).parent
    if not directory.is_dir():
        raise UsageError(f"{file!r} cannot be written: there is no directory {str(directory)!r}")
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{file!r} cannot be written: the directory {str(directory)!r} may not be written to")
