"""What may be asked of a load run is the same for `seatrial load` and for Locust's options, each under its own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seatrial.errors import UsageError
from seatrial.load import limits


@pytest.mark.parametrize("prefix", ["--", "--seatrial-"])
@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda prefix: limits.check_kind(None, None, "poisson", prefix=prefix), "neither {0}rate nor {0}users"),
        (lambda prefix: limits.check_kind(5.0, 5, "poisson", prefix=prefix), "both {0}rate and {0}users"),
        (lambda prefix: limits.check_kind(None, 5, "ramp:1-9", prefix=prefix), "both {0}arrivals and {0}users"),
        (
            lambda prefix: limits.check_kind(5.0, None, "steps:5x5", prefix=prefix),
            "and {0}arrivals steps:5x5 has rates",
        ),
        (lambda prefix: limits.check_kind(None, 0, None, prefix=prefix), "{0}users is 0, 1 to 10,000"),
        (lambda prefix: limits.check_kind(None, 10_001, None, prefix=prefix), "{0}users is 10001"),
        (lambda prefix: limits.check_seconds({"duration": 0.0}, prefix=prefix), "{0}duration is 0 seconds, above 0"),
        (lambda prefix: limits.check_seconds({"timeout": 0.0}, prefix=prefix), "{0}timeout is 0 seconds, above 0"),
        (lambda prefix: limits.check_seconds({"drain": -1.0}, prefix=prefix), "{0}drain is -1 seconds, 0 or more"),
        (lambda prefix: limits.check_seconds({"think": 1e9}, prefix=prefix), "{0}think is 1e"),
        (lambda prefix: limits.check_seconds({"warm-up": float("nan")}, prefix=prefix), "{0}warm-up is nan seconds"),
        (
            lambda prefix: limits.read_warm_up("soon", prefix=prefix),
            "{0}warm-up is 'soon', seconds or auto were expected",
        ),
    ],
)
def test_what_cannot_be_is_said_under_the_names_of_who_asks(
    check: Callable[[str], object], words: str, prefix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(prefix)

    assert words.format(prefix) in caught.value.message


def test_kinds_of_load() -> None:
    assert limits.check_kind(5.0, None, "poisson")
    assert limits.check_kind(None, None, "trace:times.csv")
    assert not limits.check_kind(None, 10_000, None)
    limits.check_seconds({"drain": 0.0, "duration": 86_400.0})
    assert (limits.read_warm_up("2.5"), limits.read_warm_up("auto")) == (2.5, None)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"{}")

    assert limits.read_body("text") == b"text"
    assert limits.read_body(f"@{tmp_path / 'body'}") == b"{}"
    for wrong in (f"@{tmp_path / 'none'}", f"@{tmp_path}"):
        with pytest.raises(UsageError, match="cannot be read: it is no"):
            limits.read_body(wrong)
    with pytest.raises(UsageError, match="cannot be read"):
        limits.check_certificates(str(tmp_path), "https://127.0.0.1/")
    limits.check_writable(str(tmp_path / "new"))
    for wrong in (str(tmp_path), str(tmp_path / "none" / "new")):
        with pytest.raises(UsageError, match="cannot be written"):
            limits.check_writable(wrong)


def test_a_body_may_be_too_large(tmp_path: Path) -> None:
    with (tmp_path / "body").open("wb") as file:
        file.truncate(limits.MAX_BODY_BYTES + 1)

    with pytest.raises(UsageError, match="over 64 MB"):
        limits.read_body(f"@{tmp_path / 'body'}")
