"""The apt sources of this machine, read to name a mirror for another release of the same distribution.

Source: sources.list(5), both of its formats; apt_preferences(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place packages come from. `signed_by` is what the source says of its keys, empty when it says nothing."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def keyring(self) -> str | None:
        """The file of keys that signs this source, when it names a file."""
        return self.signed_by if self.signed_by.startswith("/") else None


def read_sources(apt_dir: Path = Path("/etc/apt")) -> list[Source]:
    """Return the binary package sources configured under `apt_dir`."""
    one_line = [apt_dir / "sources.list", *sorted((apt_dir / "sources.list.d").glob("*.list"))]
    found = [source for path in one_line if path.is_file() for source in parse_one_line(_read(path))]
    for path in sorted((apt_dir / "sources.list.d").glob("*.sources")):
        found.extend(parse_deb822(_read(path)))
    return found


def find_mirror(sources: Iterable[Source], codename: str) -> Source | None:
    """Return the source of the release `codename` itself: not its updates, nor other projects' packages for it."""
    return next((source for source in sources if source.suite == codename and "main" in source.components), None)


def parse_one_line(text: str) -> list[Source]:
    """Read the format `deb [ option=value … ] URI SUITE COMPONENT…`."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>[^#]*)", line)
        if match:
            options = dict(re.findall(r"(\S+?)=(\S+)", match["options"] or ""))
            components = tuple(match["rest"].split())
            signed_by = options.get("signed-by", "")
            found.append(Source(uri=match["uri"], suite=match["suite"], components=components, signed_by=signed_by))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Read the format of `.sources` files: paragraphs of `Field: value`."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: list[Source] = []
    for paragraph in re.split(r"\n\s*\n", kept):
        fields = _parse_paragraph(paragraph)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        found.extend(
            Source(
                uri=uri,
                suite=suite,
                components=tuple(fields.get("components", "").split()),
                signed_by=fields.get("signed-by", ""),
            )
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        )
    return found


def format_source(mirror: Source, codename: str) -> str:
    """Return a `.sources` file for the release `codename` from the same mirror, with the same keys."""
    lines = ["Types: deb", f"URIs: {mirror.uri}", f"Suites: {codename}", "Components: main"]
    if mirror.signed_by:
        lines.append(f"Signed-By: {mirror.signed_by}")
    return "\n".join(lines) + "\n"


def format_preferences(codename: str, package: str) -> str:
    """Return apt preferences that take `package`, and nothing else, from the release `codename`."""
    pin = f"Pin: release n={codename}"
    return f"Package: *\n{pin}\nPin-Priority: -1\n\nPackage: {package}\n{pin}\nPin-Priority: 500\n"


def _parse_paragraph(paragraph: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1].isspace() and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
