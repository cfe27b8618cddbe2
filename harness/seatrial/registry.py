"""Finds what is registered through entry points, by name: wires, targets, reporters, specimens, emulators.

A further technology is one more entry point.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from seatrial.errors import UsageError
from seatrial.suggestion import suggest

if TYPE_CHECKING:
    from seatrial.emulation import EmulatorSource
    from seatrial.load.specimen import SpecimenSource
    from seatrial.target import Target
    from seatrial.wire import Wire

TARGETS_GROUP = "seatrial.targets"
WIRES_GROUP = "seatrial.wires"
REPORTERS_GROUP = "seatrial.reporters"
SPECIMENS_GROUP = "seatrial.specimens"
EMULATORS_GROUP = "seatrial.emulators"
NOT_IN_ALL = frozenset({"url"})

_added: dict[str, dict[str, Callable[[], Any]]] = {
    TARGETS_GROUP: {},
    WIRES_GROUP: {},
    REPORTERS_GROUP: {},
    SPECIMENS_GROUP: {},
    EMULATORS_GROUP: {},
}


def add(group: str, name: str, load: Callable[[], Any]) -> Callable[[], None]:
    """Register something for this process only; the function returned takes it back."""
    _added[group][name] = load

    def remove() -> None:
        _added[group].pop(name, None)

    return remove


@cache
def _installed(group: str) -> Mapping[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=group)}


def names(group: str) -> list[str]:
    """Return the registered names, in the order in which they were registered."""
    return list(dict.fromkeys([*_installed(group), *_added[group]]))


def load(group: str, name: str, what: str) -> Any:
    """Import what is registered under a name.

    Raises:
        UsageError: nothing is, or it does not import.
    """
    if name in _added[group]:
        return _added[group][name]()
    entry = _installed(group).get(name)
    if entry is None:
        raise UsageError(f"there is no {what} {name!r}.{suggest(name, names(group))}")
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"{what} {name!r} is registered as {entry.value} but does not import: {error}",
            fix=f"install its extra: pip install 'seatrial[{name}]'",
        ) from error


def find_wire(name: str) -> Wire:
    """Return the wire of that name."""
    return cast("Wire", load(WIRES_GROUP, name, "wire")())


def find_target(name: str) -> Target:
    """Return the target of that name."""
    return cast("Target", load(TARGETS_GROUP, name, "target")())


def find_specimen(name: str) -> SpecimenSource:
    """Return what serves the specimen of that name."""
    return cast("SpecimenSource", load(SPECIMENS_GROUP, name, "specimen"))


def choose_targets(expressions: list[str]) -> list[str]:
    """Return target names from options: names, `all`, `default`, `!name`; commas and repeats allowed.

    Raises:
        UsageError: a name that no target has, or nothing is left.
    """
    known = names(TARGETS_GROUP)
    chosen: dict[str, None] = {}
    excluded = set()
    words = [word.strip() for expression in expressions for word in expression.split(",") if word.strip()]
    for word in words:
        name = word.removeprefix("!")
        if name != "all" and name not in known:
            raise UsageError(f"there is no target {name!r}.{suggest(name, [*known, 'all'])}")
        if word.startswith("!"):
            excluded.add(name)
        else:
            members = [known_name for known_name in known if known_name not in NOT_IN_ALL] if name == "all" else [name]
            chosen.update(dict.fromkeys(members))
    if words and all(word.startswith("!") for word in words):
        chosen.update(dict.fromkeys(name for name in known if name not in NOT_IN_ALL))
    result = [name for name in chosen if name not in excluded]
    if not result:
        raise UsageError(f"no target is left of {', '.join(words) or 'nothing'}.{suggest('', [*known, 'all'])}")
    return result


def find_emulator(name: str) -> EmulatorSource:
    """Return what starts the emulator of that name."""
    return cast("EmulatorSource", load(EMULATORS_GROUP, name, "emulator")())
