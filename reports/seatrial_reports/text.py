"""Makes any text fit to be shown: logs and model output hold ANSI sequences, NUL bytes, lone surrogates, megabytes."""

from __future__ import annotations

import re

LIMIT_CHARACTERS = 20_000

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor moves
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system commands: titles, hyperlinks
    r"|\x1b[ -/]*[0-~]"
)
# Direction overrides can make a line read otherwise than it is (CVE-2021-42574); U+FFFE and U+FFFF are not in XML 1.0.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean_text(text: str) -> str:
    """Return `text` with only characters that XML 1.0, HTML and a terminal hold harmlessly; lines end in `\\n`.

    ANSI sequences go; control characters become their pictures (NUL becomes ␀), other unfit ones U+FFFD, so that the
    reader sees that something was there.
    """
    lines = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub(_picture, lines)


def shorten(text: str, limit: int = LIMIT_CHARACTERS) -> str:
    """Return cleaned `text` in about `limit` characters: its beginning and its end, and between them how much is left out."""
    cleaned = clean_text(text)
    if len(cleaned) <= limit:
        return cleaned
    head, tail = limit * 2 // 3, limit // 3
    left_out = len(cleaned) - head - tail
    return f"{cleaned[:head]} […{left_out:,} characters left out, see run.json…] {cleaned[-tail:]}"


def join_lines(text: str, limit: int) -> str:
    """Return `text` on one line, shortened to about `limit` characters."""
    return shorten(" ".join(clean_text(text).split()), limit)


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
