"""Records without what lets somebody in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from seatrial.masking import hide
from seatrial.records import CheckRecord, ErrorRecord, Record


def hide_in_record(record: Record, secrets: Sequence[str]) -> Record:
    """Return a record whose words have no secrets."""
    if isinstance(record, CheckRecord):
        return msgspec.structs.replace(record, message=hide(record.message, secrets))
    if isinstance(record, ErrorRecord):
        message, logs = hide(record.message, secrets), hide(record.logs, secrets)
        return msgspec.structs.replace(record, message=message, logs=logs)
    return record
