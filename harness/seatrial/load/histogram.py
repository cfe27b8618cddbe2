"""Histograms of times that add up exactly: those of several workers, merged, are the one that a single stream would have given.

Buckets are log-linear, in the way of HdrHistogram: below 2,048 ns one for each nanosecond, above that 1,024 for each doubling, so
that none is wider than 1/1,024 of where it begins, and the middle of one is within 0.05 % of every time in it.
"""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.load.quantiles import FEWEST, Times
from seatrial.load.result import Quantiles

_BITS: Final = 10
_LARGEST_SHIFT: Final = 36
BOUND_NS: Final = 1 << (_LARGEST_SHIFT + _BITS + 1)
"""39 hours, longer than any run: times from there on are counted as beyond, and have no value."""
BUCKETS: Final = (_LARGEST_SHIFT + 2) << _BITS
_NONE: Final = -1

Counts = npt.NDArray[np.int64]


class _Encoded(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Which buckets hold something, and how much; the sum is text because it may be larger than any integer of the format."""

    held: bytes
    counts: bytes
    beyond: int
    total_ns: str
    min_ns: int
    max_ns: int


@dataclass(slots=True, eq=False)
class Histogram:
    """Counts of times by bucket; their number, sum, minimum and maximum are exact.

    Attributes:
        counts: times in each bucket, int64, shape (BUCKETS,).
        beyond: times of `BOUND_NS` or more: those that never came.
        total_ns: sum of the others, of any size.
        min_ns: the least of them, -1 when there is none.
        max_ns: the largest of them, -1 when there is none.
    """

    counts: Counts = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    beyond: int = 0
    total_ns: int = 0
    min_ns: int = _NONE
    max_ns: int = _NONE

    @property
    def count(self) -> int:
        """How many times there are, those beyond included."""
        return int(self.counts.sum()) + self.beyond

    def add(self, times: Times) -> None:
        """Count times: nanoseconds, shape (samples,); one below 0 counts as 0."""
        known = np.maximum(times[times < BOUND_NS], 0)
        self.beyond += len(times) - len(known)
        if not len(known):
            return
        self.counts += np.bincount(find_buckets(known), minlength=BUCKETS)
        # In two parts, since the sum of many long times does not fit 64 bits.
        self.total_ns += (int((known >> 32).sum()) << 32) + int((known & 0xFFFF_FFFF).sum())
        self._widen(int(known.min()), int(known.max()))

    def merge(self, other: Histogram) -> None:
        """Add what another holds: exact, in any order and grouping."""
        self.counts += other.counts
        self.beyond += other.beyond
        self.total_ns += other.total_ns
        self._widen(other.min_ns, other.max_ns)

    def subtract(self, earlier: Histogram) -> Histogram:
        """Return what came since an earlier state of this histogram; merged into that state it gives this one.

        Minimum and maximum are those of this state: what they were in between cannot be known.
        """
        return Histogram(
            counts=self.counts - earlier.counts,
            beyond=self.beyond - earlier.beyond,
            total_ns=self.total_ns - earlier.total_ns,
            min_ns=self.min_ns,
            max_ns=self.max_ns,
        )

    def copy(self) -> Histogram:
        """Return one that holds the same, and changes by itself."""
        return Histogram(self.counts.copy(), self.beyond, self.total_ns, self.min_ns, self.max_ns)

    def find_quantile(self, p: float) -> int | None:
        """Return the quantile in the sense of `quantiles.find_quantile`, nanoseconds, within 0.05 % of it.

        None when there are fewer times than that asks for, and when it lies among those beyond.
        """
        count = self.count
        if count < FEWEST.get(p, math.ceil(10 / (1 - p))):
            return None
        place = max(math.ceil(p * count - 1e-9) - 1, 0)
        if place >= count - self.beyond:
            return None
        bucket = np.searchsorted(np.cumsum(self.counts), place, side="right")
        return min(max(int(find_middles(np.array([bucket]))[0]), self.min_ns), self.max_ns)

    def summarize(self) -> Quantiles:
        """Return the quantiles and the maximum, seconds; null where there are too few times, or the quantile is beyond."""
        found = {p: self.find_quantile(p) for p in FEWEST}
        seconds = {p: None if value is None else value / 1e9 for p, value in found.items()}
        return Quantiles(
            p50=seconds[0.5],
            p90=seconds[0.9],
            p95=seconds[0.95],
            p99=seconds[0.99],
            p99_9=seconds[0.999],
            max=None if self.beyond or self.max_ns == _NONE else self.max_ns / 1e9,
        )

    def encode(self) -> str:
        """Return it as text for JSON: under 200 KB for as many times as a run may have; equal ones encode equally."""
        held = np.flatnonzero(self.counts)
        # Bytes of equal weight side by side: nearly all of the heavier ones are zero.
        counts = self.counts[held].astype("<i8").view(np.uint8).reshape(-1, 8).T
        encoded = _Encoded(
            held=np.packbits(self.counts != 0).tobytes(),
            counts=counts.tobytes(),
            beyond=self.beyond,
            total_ns=str(self.total_ns),
            min_ns=self.min_ns,
            max_ns=self.max_ns,
        )
        return base64.b85encode(zlib.compress(msgspec.msgpack.encode(encoded))).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return what was encoded. Raises ValueError when the text is nothing of the kind."""
        try:
            inflater = zlib.decompressobj()
            encoded = msgspec.msgpack.decode(inflater.decompress(base64.b85decode(text), 16 * BUCKETS), type=_Encoded)
            if not inflater.eof:
                raise ValueError("its end is missing")
            held = np.unpackbits(np.frombuffer(encoded.held, np.uint8)).astype(bool)
            counts = np.zeros(BUCKETS, np.int64)
            planes = np.frombuffer(encoded.counts, np.uint8).reshape(8, -1)
            counts[held] = np.ascontiguousarray(planes.T).view("<i8").ravel()
            return cls(counts, encoded.beyond, int(encoded.total_ns), encoded.min_ns, encoded.max_ns)
        except (zlib.error, msgspec.MsgspecError, IndexError, ValueError) as error:
            raise ValueError(f"{text[:40]!r} is no encoded histogram: {error}") from error

    def _widen(self, min_ns: int, max_ns: int) -> None:
        if min_ns != _NONE:
            self.min_ns = min_ns if self.min_ns == _NONE else min(self.min_ns, min_ns)
        self.max_ns = max(self.max_ns, max_ns)


def find_buckets(times: Times) -> Counts:
    """Return the bucket of each time: 0 or more and below `BOUND_NS`, nanoseconds, shape (samples,)."""
    _, exponents = np.frexp(times.astype(np.float64))
    shifts = np.maximum(exponents.astype(np.int64) - 1 - _BITS, 0)
    found: Counts = (shifts << _BITS) + (times >> shifts)
    return found


def find_middles(buckets: Counts) -> Times:
    """Return the time in the middle of each bucket, nanoseconds, shape as given."""
    shifts = np.maximum((buckets >> _BITS) - 1, 0)
    middles: Times = ((buckets - (shifts << _BITS)) << shifts) + ((1 << shifts) >> 1)
    return middles


def find_ends(bucket: int) -> tuple[int, int]:
    """Return the least and the largest time of a bucket, nanoseconds."""
    shift = max((bucket >> _BITS) - 1, 0)
    first = (bucket - (shift << _BITS)) << shift
    return first, first + (1 << shift) - 1
