"""The mirror for another release is read from the machine's own apt sources."""

from __future__ import annotations

from pathlib import Path

from seatrial.provision.apt import parse_simulation
from seatrial.provision.sources import (
    Source,
    find_mirror,
    format_preferences,
    format_source,
    parse_deb822,
    parse_one_line,
    read_sources,
)

DEB822 = """\
Types: deb
# a comment within a paragraph
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.test/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://commented.test/debian bookworm main
deb-src http://sources.test/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/x.gpg] https://other.test/apt bookworm stable # a note
deb http://mirror.test/debian bookworm main contrib
deb http://mirror.test/debian-security bookworm-security main
"""


def test_a_deb822_file_gives_the_release_itself() -> None:
    found = find_mirror(parse_deb822(DEB822), "bookworm")

    assert found is not None
    assert (found.uri, found.keyring) == ("http://mirror.test/debian", "/usr/share/keyrings/debian-archive-keyring.gpg")


def test_a_one_line_file_gives_the_release_itself() -> None:
    found = find_mirror(parse_one_line(ONE_LINE), "bookworm")

    assert found == Source(uri="http://mirror.test/debian", suite="bookworm", components=("main", "contrib"))


def test_options_of_a_one_line_source_are_read() -> None:
    other = parse_one_line(ONE_LINE)[0]

    assert (other.uri, other.components, other.keyring) == (
        "https://other.test/apt",
        ("stable",),
        "/etc/apt/keyrings/x.gpg",
    )


def test_disabled_and_source_only_entries_are_no_mirrors() -> None:
    assert {source.uri for source in parse_deb822(DEB822)} == {
        "http://mirror.test/debian",
        "http://mirror.test/debian-security",
    }


def test_both_formats_are_read_and_disabled_files_are_not(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://first.test/debian trixie main\n", encoding="utf-8")
    (parts / "debian.sources").write_text(DEB822, encoding="utf-8")
    (parts / "more.sources.disabled").write_text(DEB822.replace("mirror.test", "never.test"), encoding="utf-8")

    uris = [source.uri for source in read_sources(tmp_path)]

    assert uris[0] == "http://first.test/debian"
    assert "http://mirror.test/debian" in uris
    assert not any("never" in uri for uri in uris)


def test_a_machine_without_sources_has_no_mirror(tmp_path: Path) -> None:
    assert find_mirror(read_sources(tmp_path), "bookworm") is None


def test_the_other_release_comes_from_the_same_place_with_the_same_keys() -> None:
    mirror = find_mirror(parse_deb822(DEB822), "bookworm")
    assert mirror is not None

    (written,) = parse_deb822(format_source(mirror, "trixie"))

    assert written == Source(uri=mirror.uri, suite="trixie", components=("main",), signed_by=mirror.signed_by)


def test_a_key_within_the_source_survives_the_copy() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----"
    (source,) = parse_deb822(
        f"Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\nSigned-By:{key}\n"
    )

    (written,) = parse_deb822(format_source(source, "trixie"))

    assert source.keyring is None
    assert written.signed_by == source.signed_by
    assert "mQINBF" in written.signed_by


def test_preferences_take_one_package_and_nothing_else() -> None:
    everything, one = format_preferences("trixie", "kind").split("\n\n")

    assert everything.splitlines() == ["Package: *", "Pin: release n=trixie", "Pin-Priority: -1"]
    assert one.splitlines() == ["Package: kind", "Pin: release n=trixie", "Pin-Priority: 500"]


def test_a_simulation_tells_new_packages_from_upgraded_ones() -> None:
    output = """\
NOTE: This is only a simulation!
Inst libc6 [2.36-9+deb12u9] (2.36-9+deb12u10 Debian:12.11/stable [amd64])
Inst runc (1.1.5+ds1-1+deb12u1 Debian:12.15/oldstable [amd64])
Inst libx:i386 (1.0 Debian:12 [i386])
Conf runc (1.1.5+ds1-1+deb12u1 Debian:12.15/oldstable [amd64])
"""
    simulated = parse_simulation(output)

    assert (simulated.added, simulated.upgraded) == (("runc", "libx:i386"), ("libc6",))
