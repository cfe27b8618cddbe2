"""Signs of a server's inside in what it answers."""

from __future__ import annotations

import re

_SIGNS = {
    "a stack trace": re.compile(
        rb"Traceback \(most recent call last\)|\bstack_?trace\b|\n\s+at [\w$.]+\(|goroutine \d+ \["
    ),
    "a source line": re.compile(rb"\.(?:py|js|java|go|rs|cc|cpp)\W{1,3}(?:line )?\d+"),
    "a path": re.compile(
        rb"(?<![\w.:/-])/(?:home|root|usr|opt|var|tmp|etc|app|srv|mnt|proc)/[\w.-]+|[A-Za-z]:\\\\?(?:Users|Windows|Program)"
        rb"|site-packages|dist-packages"
    ),
}


def find_inside(received: bytes) -> str:
    """Return what an answer shows of the server's inside, with the place; an empty string when nothing."""
    for what, sign in _SIGNS.items():
        found = sign.search(received)
        if found:
            return f"{what} ({found[0].decode('latin-1')!r})"
    return ""
