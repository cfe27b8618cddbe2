"""The last lines of a deployment's log, for the message of a check that failed: read while the deployment is still there."""

from __future__ import annotations

from typing import Final

from seatrial.evidence import mask_lines
from seatrial.masking import find_secrets, hide
from seatrial.target import Deployment

HEADING: Final = "the last lines of its log:"
_UNREADABLE: Final = "its log cannot be read:"
MOST_LINES: Final = 20
MOST_LINE_CHARS: Final = 200
"""Of a line, its beginning; what is shown of a log has at most 4000 characters."""


def tell_log(deployment: Deployment, *, claims_logs: bool) -> str:
    """Return the heading and the lines below it, secrets masked.

    A log that cannot be read is no reason to lose the failure it is for: that is said in one line where the target claims `logs`,
    and nothing where it does not, nor of a log that is empty.
    """
    try:
        text = deployment.read_logs(MOST_LINES)
    except Exception as error:  # noqa: BLE001 - a target is a plug-in and may raise what it likes
        why = (str(error) or type(error).__name__).splitlines()[0][:MOST_LINE_CHARS]
        return f"{_UNREADABLE} {_mask(why, deployment)}" if claims_logs else ""
    # Masked before it is cut: half a secret is not found any more.
    lines = _mask(text, deployment).strip("\r\n").splitlines()[-MOST_LINES:]
    return "\n".join([HEADING, *(_show(line) for line in lines)]) if any(map(str.strip, lines)) else ""


def find_told(error: BaseException | None) -> str:
    """Return what `tell_log` said of another deployment, the one that an error is about; an empty string for nothing."""
    notes = getattr(error, "__notes__", ())
    return next((note for note in notes if note.startswith((HEADING, _UNREADABLE))), "")


def _mask(text: str, deployment: Deployment) -> str:
    headers = deployment.endpoint.headers
    masked = mask_lines(text.encode("utf-8", "replace"), headers).decode()
    return hide(masked, find_secrets(headers))


def _show(line: str) -> str:
    """Return a line as every terminal and report can show it, indented below the heading."""
    plain = "".join(each if each.isprintable() or each == "\t" else f"\\x{ord(each):02x}" for each in line.rstrip())
    return f"  {plain}" if len(plain) <= MOST_LINE_CHARS else f"  {plain[: MOST_LINE_CHARS - 1]}…"
