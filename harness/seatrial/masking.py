"""What lets somebody in, taken out of what is recorded and told: the values of headers that a user has sent along."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

MASK: Final = "***"
_HARMLESS: Final = frozenset(
    {"accept", "accept-charset", "accept-encoding", "accept-language", "content-type", "host", "user-agent"}
)
# Shorter ones stand in texts by chance: masked by their headers' names alone.
_LEAST_CHARS: Final = 6
_HEADERS_SETTING: Final = re.compile(r"targets\.[^.=]+\.headers\b")
_HEADER_OPTION: Final = "--header"


def find_secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must not be told of headers, the longest first: values, and of several words each (`Bearer abc…`)."""
    values = [value for name, value in headers.items() if name.lower() not in _HARMLESS]
    parts = {part for value in values for part in (value, *value.split()) if len(part) >= _LEAST_CHARS}
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


def hide(text: str, secrets: Sequence[str]) -> str:
    """Return a text without secrets, whoever has put them into it: servers show in an error what they were sent."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def mask_setting(path: str, value: Any) -> Any:
    """Return the value of a setting as it may be told: of headers their names."""
    if not _HEADERS_SETTING.fullmatch(path):
        return value
    return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK


def mask_command(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command line as it may be told: of headers their names."""
    told: list[str] = []
    for word in command:
        option, equals, rest = word.partition("=")
        if told and told[-1] == _HEADER_OPTION:
            told.append(mask_header(word))
        elif option == _HEADER_OPTION and equals:
            told.append(f"{option}={mask_header(rest)}")
        elif found := _HEADERS_SETTING.search(word):
            told.append(f"{word[: found.end()]}={MASK}" if "=" in word[found.end() :] else word)
        else:
            told.append(word)
    return tuple(told)


def mask_header(header: str) -> str:
    """Return `Name: ***` of `Name: value`."""
    name, colon, _ = header.partition(":")
    return f"{name}: {MASK}" if colon else MASK
