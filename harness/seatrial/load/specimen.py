"""Specimens: servers whose behaviour is known by construction, with a log of what they really did.

They are found by name (entry points of the group `seatrial.specimens`); each is called without arguments and gives a context
manager, which serves while its block runs.
"""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from seatrial.load.plan import Destination


class Given(enum.IntEnum):
    """What a specimen gave for an answer."""

    NOTHING_YET = 0
    """The request is in service, or its connection was lost before its answer was due."""
    RIGHT = 1
    WRONG = 2
    """A whole answer that is right for no question that was asked."""
    SWAPPED = 3
    """The right answer to another question that was asked before."""
    CACHED = 4
    """The right answer to the first question that was ever asked."""
    FAILED = 5
    """Status 500, at once."""
    CLOSED = 6
    """The connection's end, without a byte."""
    TRUNCATED = 7
    """A head, half of the body that it promises, and the connection's end."""
    ENDLESS = 8
    """A body that goes on until the client closes."""
    NEVER = 9
    """Nothing, ever, on a connection that stays."""
    NONSENSE = 10
    """Bytes that are not HTTP, and the connection's end."""
    REFUSED = 11
    """Status 400: what came was no question."""


SERVED: Final = np.dtype(
    [
        ("arrived_ns", "<i8"),  # the first byte of the request was read
        ("begun_ns", "<i8"),  # its service began: later than it arrived when it had to queue
        ("due_ns", "<i8"),  # when the law wanted its answer written
        ("written_ns", "<i8"),  # its answer was given to the kernel, the last byte when not all at once; -1: it was not
        ("question", "<i8"),  # the number that was asked for
        ("answer", "<i8"),  # the number that was answered, of whole answers with status 200
        ("connection", "<u4"),  # number of the connection, from 0
        ("given", "u1"),  # a `Given`
    ]
)
"""One record a request, in the order of arrival. Times are nanoseconds of CLOCK_MONOTONIC, which is the client's clock too."""

Served = npt.NDArray[Any]
"""A structured array of `SERVED`, shape (requests,)."""


class Specimen(Protocol):
    """A server that runs."""

    @property
    def destination(self) -> Destination:
        """Where it listens."""

    @property
    def url(self) -> str:
        """Where it is asked."""

    def make_request(self, number: int) -> bytes:
        """Return a whole request that asks for a number, which is the right answer to it."""

    def read_log(self) -> Served:
        """Return what it did until now; of requests that are in service, what is known.

        Raises:
            HarnessError: it served more requests than its log holds.
        """


class SpecimenSource(Protocol):
    """What is registered under a specimen's name."""

    def __call__(self) -> AbstractContextManager[Specimen]:
        """Return the context that serves one."""
