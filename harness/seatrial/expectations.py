"""Expected failures: what a technology promises, is known to break, and in which versions that was seen.

Entries stand in a file per target, `NAME.expectations.toml` beside the target's module (`[[expect]]`), and in a user's
pyproject.toml (`[[tool.seatrial.expect.NAME]]`). What they make of a check's outcome: `seatrial.expected_failures`.
"""

from __future__ import annotations

import importlib.resources
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from seatrial.errors import UsageError
from seatrial.suggestion import suggest

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from packaging.specifiers import SpecifierSet

SUFFIX = ".expectations.toml"
_TABLE = "expect"
_FIX = (
    "an entry has check, reason, link or measured, package and versions, and may have cases, if_asked and wires: "
    'check = "B01", cases = ["a bare word"], reason = "…", link = "https://…", package = "mlflow", versions = ">=3.10,<3.19"'
)


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry as it is written."""

    check: Annotated[str, Meta(min_length=1)]
    reason: Annotated[str, Meta(min_length=1)]
    package: Annotated[str, Meta(min_length=1)]
    versions: Annotated[str, Meta(min_length=1)]
    cases: list[Annotated[str, Meta(min_length=1)]] = []
    if_asked: bool = False
    wires: list[Annotated[str, Meta(min_length=1)]] = []
    link: Annotated[str, Meta(pattern="^(https?://.+)?$")] = ""
    measured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A check, or some of its cases, known to fail.

    Args:
        check: id of the check, as in B01; of a test of one's own its name.
        cases: exact names of the cases that fail; empty: the check as a whole.
        if_asked: cases that only some models or wires have; where one is not asked, nothing follows.
        wires: over which it was seen; over others the entry is as if it were not there. Empty: over all.
        reason: why it fails, in a sentence.
        link: where that is known: a report, a line of the technology's source.
        measured: or what was measured, and how; at least one of both is there.
        package: whose version tells whether it still fails.
        versions: of that package, in which it was seen.
        source: the file, and which entry of it.
    """

    check: str
    cases: tuple[str, ...]
    if_asked: bool
    wires: tuple[str, ...]
    reason: str
    link: str
    measured: str
    package: str
    versions: SpecifierSet
    source: str

    @property
    def seen_in(self) -> str:
        """The range, in words: mlflow <3.19,>=3.10."""
        return f"{self.package} {self.versions}"

    def covers(self, version: str) -> bool:
        """Tell whether that version is in the range; one that is not known, or none of PEP 440, never is."""
        from packaging.version import InvalidVersion, Version

        try:
            return self.versions.contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False

    def explain(self) -> str:
        """Return the reason, what it rests on and where the entry stands, on a line."""
        grounds = "; ".join(filter(None, (self.link, self.measured and f"measured: {self.measured}")))
        return f"{self.reason} ({grounds}; seen in {self.seen_in}; {self.source})"


def read_entries(value: Any, source: str) -> tuple[Expectation, ...]:
    """Return the entries of a list of tables.

    Raises:
        UsageError: it is none, or an entry is not as it must be.
    """
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not all(isinstance(each, Mapping) for each in value)
    ):
        raise UsageError(f"{source}: a list of tables was expected, with an entry of expected failures each", fix=_FIX)
    return tuple(_read_entry(entry, f"{source}, entry {number}") for number, entry in enumerate(value, 1))


def read_shipped(target: object) -> tuple[Expectation, ...]:
    """Return the entries that a target brings in the file beside its module; none where it has no such file.

    Raises:
        UsageError: the file is not as it must be.
    """
    file = _find_shipped(target)
    if not file.is_file():
        return ()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}", fix=_FIX) from error
    others = [name for name in tables if name != _TABLE]
    if others:
        raise UsageError(f"{file}: there is no table {others[0]!r}.{suggest(others[0], [_TABLE])}", fix=_FIX)
    return read_entries(tables.get(_TABLE, []), str(file))


def _find_shipped(target: object) -> Traversable:
    """Where a target's file would be; its module may be in a package, in a wheel of anybody's, or a file that stands alone."""
    module = sys.modules[type(target).__module__]
    name = f"{getattr(target, 'name', '')}{SUFFIX}"
    if module.__package__:
        return importlib.resources.files(module.__package__) / name
    return Path(module.__file__ or "").with_name(name)


def _read_entry(entry: Mapping[str, Any], source: str) -> Expectation:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    source = f"{source} ({entry['check']})" if isinstance(entry.get("check"), str) else source
    known = [each.name for each in msgspec.structs.fields(_Entry)]
    for name in entry:
        if name not in known:
            raise UsageError(f"{source}: there is no key {name!r}.{suggest(name, known)}", fix=_FIX)
    written = {name: value.strip() if isinstance(value, str) else value for name, value in entry.items()}
    try:
        read = msgspec.convert(written, _Entry)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}", fix=_FIX) from error
    if not read.link and not read.measured:
        raise UsageError(f"{source}: a link or a measurement was expected, for a reason alone proves nothing", fix=_FIX)
    if read.if_asked and not read.cases:
        raise UsageError(
            f"{source}: if_asked is of cases, and there are none", fix="name the cases, or leave if_asked out"
        )
    try:
        versions = SpecifierSet(read.versions)
    except InvalidSpecifier as error:
        wanted = "a range as in '>=3.10,<3.19' was expected"
        raise UsageError(f"{source}: versions is {read.versions!r}, {wanted}", fix=_FIX) from error
    return Expectation(
        check=read.check,
        cases=tuple(dict.fromkeys(read.cases)),
        if_asked=read.if_asked,
        wires=tuple(dict.fromkeys(read.wires)),
        reason=" ".join(read.reason.split()),
        link=read.link,
        measured=" ".join(read.measured.split()),
        package=read.package,
        versions=versions,
        source=source,
    )
