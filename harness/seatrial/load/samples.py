"""Samples: one fixed-size record a request, in the order in which requests ended.

Times are nanoseconds of CLOCK_MONOTONIC, comparable between the processes of one host; -1 is a time that never came.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NEVER: Final = -1
"""A time that never came."""
NO_ANSWER: Final = 0xFFFF_FFFF
"""`answer` of a request that got no whole body."""
NO_CONNECTION: Final = 0xFFFF_FFFF
"""`connection` of a request that got none."""


class Outcome(enum.IntEnum):
    """What became of a request."""

    ANSWERED = 0
    """A whole response with a status below 400; whether it is right is found out afterwards."""
    WRONG = 1
    """A whole response with a status below 400 that is not the right answer; set afterwards, never by the pacer."""
    REFUSED = 2
    """A whole response with a status of 400 or above."""
    MALFORMED = 3
    """What came back is not HTTP, or larger than allowed."""
    TRUNCATED = 4
    """The connection ended before the response did, or before it began."""
    UNCONNECTED = 5
    """No connection could be made."""
    TIMED_OUT = 6
    """No whole response within the time that a request is given."""
    CENSORED = 7
    """Pending when the drain ended, sent or not: it waited for an answer, or for the server to take a connection. Its response
    time is at least `drain end - intended`.
    """
    UNSENT = 8
    """Scheduled, and not sent: the client had no means to (connections, descriptors), or the run was stopped."""


SUCCESSES: Final = (int(Outcome.ANSWERED),)
"""Outcomes whose times are times of right answers. All others count as failures, with a series of their own."""

SAMPLE: Final = np.dtype(
    [
        ("intended_ns", "<i8"),  # when the schedule wanted it sent; closed loop: when its user was free to ask
        ("sent_ns", "<i8"),  # before the first byte was given to the socket
        ("first_ns", "<i8"),  # the first byte of the response was read
        ("last_ns", "<i8"),  # the last byte was read; of a failure, when it was known
        ("connect_ns", "<i8"),  # how long its connection took to open, when this is its first request; else -1
        ("size_bytes", "<u4"),  # of the response's body
        ("case", "<u4"),  # index into the plan's requests
        ("answer", "<u4"),  # index into the run's distinct answers, NO_ANSWER when there is no whole body
        ("connection", "<u4"),  # number of the connection, from 0
        ("status", "<u2"),  # HTTP status, 0 when there is none
        ("outcome", "u1"),
        ("phase", "u1"),  # 0 timed window, 1 warm-up
    ]
)
"""60 bytes a request."""

Samples = npt.NDArray[Any]
"""A structured array of `SAMPLE`, shape (requests,)."""


def read_samples(path: Path) -> Samples:
    """Return the samples of a file, memory-mapped and read-only; a last record that was cut off is left out."""
    count = path.stat().st_size // SAMPLE.itemsize
    if count == 0:
        return np.empty(0, SAMPLE)
    return np.memmap(path, SAMPLE, "r", shape=(count,))
