"""The conformance document: every check, its level and source, and which targets it is asked of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from seatrial import registry
from seatrial.checks import STATUS_MEANINGS, Check, name_group
from seatrial.cli.catalogue import Catalogue
from seatrial.target import claim_capabilities, tell_wire
from seatrial.wire import Wire

_INTRODUCTION = """\
# Conformance

Every check that seatrial asks, made by `seatrial explain --document`; `seatrial explain ID` tells more of one, and how to ask it
alone.

A **level** is MUST, SHOULD or MAY, as in RFC 2119: a MUST or a SHOULD that does not hold fails its target, a MAY changes no
verdict. A **capability** is what a target says it can do. A check that needs some is asked only of targets that claim them all,
and what is claimed must hold; what an image, an app or a model of your own cannot claim is not asked of it. A check that is asked
**over** some wires or framings (`http` is one response, `http-events` a post and its event stream, `frame` a length and as many
bytes) is asked where the target's wire, or its framing, is among them. A **profile** has all checks of the smaller ones: smoke,
standard, nightly. The source is whose sentence a check enforces; seatrial's own list is the one of this document."""
_ASKED = "✓"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """A target as it is without settings of the user's."""

    name: str
    claims: frozenset[str]
    wire: Wire | None
    """None where only a deployment tells."""


def render_document(catalogue: Catalogue) -> str:
    """Return the document; ends with a newline.

    Raises:
        UsageError: a target cannot be imported here, so that nothing is known of it.
    """
    blocks = [
        _INTRODUCTION,
        *_render_statuses(),
        *_render_groups(catalogue),
        *_render_targets([each.check for each in catalogue.checks], list_columns()),
        *_render_not_asked(catalogue),
    ]
    return "\n\n".join(blocks) + "\n"


def list_columns() -> list[TargetColumn]:
    """Return the targets, those that deploy first, each as it is without settings."""
    names = sorted(registry.names(registry.TARGETS_GROUP), key=lambda name: (name in registry.NOT_IN_ALL, name))
    columns = []
    for name in names:
        target = registry.find_target(name)
        settings = target.settings_type()
        told = tell_wire(target, settings)
        wire = registry.find_wire(told) if told else None
        columns.append(TargetColumn(name=name, claims=claim_capabilities(target, settings), wire=wire))
    return columns


def describe_application(check: Check, column: TargetColumn) -> str:
    """Say in a phrase whether a check is asked of a target, and if not, why."""
    lacking = check.needs - column.claims
    if lacking:
        return f"needs {_code(lacking)}"
    if check.wires and column.wire is None:
        return f"over {_code(check.wires)}"
    if column.wire is not None and not check.is_asked_over(column.wire):
        return f"not over `{column.wire.name}`"
    return _ASKED


def _render_statuses() -> Iterator[str]:
    yield "## Statuses"
    yield _render_table(["Status", "Meaning"], [[f"`{name}`", meaning] for name, meaning in STATUS_MEANINGS.items()])


def _render_groups(catalogue: Catalogue) -> Iterator[str]:
    header = ["Id", "Title", "Level", "What is enforced", "Source", "Profile", "Needs", "Over", "Since"]
    for group, members in groupby(catalogue.checks, key=lambda known: name_group(known.check.id)):
        yield f"## {group}"
        yield _render_table(header, [_describe(known.check) for known in members])


def _describe(check: Check) -> list[str]:
    covers = f" (and {', '.join(sorted(check.covers))})" if check.covers else ""
    return [
        f"{check.id}{covers}",
        check.title,
        check.level,
        check.sentence,
        check.source,
        check.profile,
        _code(check.needs),
        _code(check.wires),
        check.since,
    ]


def _render_targets(checks: Sequence[Check], columns: Sequence[TargetColumn]) -> Iterator[str]:
    yield "## Which targets are asked"
    yield (
        f"With their default settings. {_ASKED}: asked; *needs*: the target does not claim that capability; *not over*: it "
        "cannot be asked over the target's wire. `url` claims little, for what already runs is not seatrial's to stop or "
        "update, and takes its wire from its settings."
    )
    header = ["Id", *(_head(column) for column in columns)]
    yield _render_table(
        header, [[check.id, *(describe_application(check, column) for column in columns)] for check in checks]
    )


def _head(column: TargetColumn) -> str:
    return column.name if column.wire is None else f"{column.name} (`{column.wire.name}`)"


def _render_not_asked(catalogue: Catalogue) -> Iterator[str]:
    if not catalogue.not_asked:
        return
    yield "## Listed, and not asked"
    rows = [[each.id, each.title, each.level, each.reason] for each in catalogue.not_asked]
    yield _render_table(["Id", "Title", "Level", "Why not"], rows)


def _render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;")
