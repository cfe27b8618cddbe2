"""Response times of a window by slices of its time, in a form that adds up: what intervals of several workers need of an order.

All workers load one server over one window, so that requests of different workers at a time are alike as much as neighbours of
one stream are. Slices of the same time, merged, keep that. Times in them are offsets from the window's beginning, by each
worker's own clock.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.load.blocks import read_blocks
from seatrial.load.histogram import BOUND_NS, BUCKETS, find_buckets, find_ends
from seatrial.load.quantiles import BATCHES, FEWEST, Times, find_ranks, list_levels, widen_inflation
from seatrial.load.ranking import is_ranked, rank_times
from seatrial.load.result import Interval
from seatrial.load.samples import Samples
from seatrial.load.window import Window

SLICES: Final = 200
_PLACES: Final = BUCKETS + 1
"""In a slice: the last is for times beyond."""

Counts = npt.NDArray[np.int64]


class _Encoded(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Differences between the places that hold something, in ascending order, and how much each holds."""

    steps: bytes
    counts: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Counts by slice and bucket of the histograms, of those that hold something.

    Attributes:
        places: slice times `_PLACES` plus bucket, ascending, int64.
        counts: times there, int64, same shape.
    """

    places: Counts
    counts: Counts

    @classmethod
    def make(cls, offsets_ns: Times, times_ns: Times, window_ns: int) -> Self:
        """Return the slices of response times.

        Args:
            offsets_ns: intended sends, from the beginning of the window.
            times_ns: of the same requests; from `BOUND_NS` on they are beyond.
            window_ns: length of the window.
        """
        slices = np.clip(offsets_ns * SLICES // window_ns, 0, SLICES - 1)
        known = np.clip(times_ns, 0, BOUND_NS - 1)
        buckets = np.where(times_ns < BOUND_NS, find_buckets(known), BUCKETS)
        places, counts = np.unique(slices * _PLACES + buckets, return_counts=True)
        return cls(places, counts.astype(np.int64))

    @classmethod
    def none(cls) -> Self:
        """Return those of no request."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def merge(self, other: Slices) -> Slices:
        """Return the slices of both: exact, in any order."""
        places, index = np.unique(np.concatenate([self.places, other.places]), return_inverse=True)
        counts = np.zeros(len(places), np.int64)
        np.add.at(counts, index, np.concatenate([self.counts, other.counts]))
        return Slices(places, counts)

    def encode(self) -> bytes:
        """Return it for a wire; equal ones encode equally."""
        steps = np.diff(self.places, prepend=0).astype("<i4")
        encoded = _Encoded(steps=_weigh(steps), counts=_weigh(self.counts.astype("<i4")))
        return zlib.compress(msgspec.msgpack.encode(encoded))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what was encoded. Raises ValueError when it is nothing of the kind."""
        try:
            encoded = msgspec.msgpack.decode(zlib.decompress(data), type=_Encoded)
            return cls(np.cumsum(_read(encoded.steps)), _read(encoded.counts))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise ValueError(f"no slices: {error}") from error

    def find_interval(self, p: float, confidence: float = 0.95) -> Interval | None:
        """Return a confidence interval of a quantile, seconds: that of `quantiles.find_interval`, on the merged stream.

        Its twenty batches are of neighbouring slices with near-equal numbers of requests, and the variance is that of a ratio
        estimate, since the numbers differ (Cochran, Sampling Techniques, 6.3). Its ends are those of the buckets that they lie
        in: 0.1 % wider at most. None where that gives none, and where times of requests are so uneven that there are no twenty
        such batches.
        """
        count = int(self.counts.sum())
        if count < max(BATCHES**2, FEWEST.get(p, 0)):
            return None
        of_slice, bucket = self.places // _PLACES, self.places % _PLACES
        batches = _form_batches(np.bincount(of_slice, self.counts, SLICES))
        if batches is None:
            return None
        totals = np.bincount(batches[of_slice], self.counts, BATCHES)
        below = np.cumsum(np.bincount(bucket, self.counts, _PLACES)).astype(np.int64)

        def find_inflation(level: float) -> float:
            cut = _find_cut(below, level)
            above = np.bincount(batches[of_slice], self.counts * (bucket >= cut), BATCHES)
            return _find_inflation(above, totals)

        ranks = find_ranks(count, p, max(find_inflation(level) for level in list_levels(p)), confidence)
        if ranks is None:
            return None
        low, high = (int(np.searchsorted(below, rank, side="right")) for rank in ranks)
        if high >= BUCKETS:
            return None
        return Interval(low=find_ends(low)[0] / 1e9, high=find_ends(high)[1] / 1e9, confidence=confidence)


def slice_responses(samples: Samples, window: Window) -> Slices:
    """Return the slices of response times as `analysis.measure` ranks them: failures above all answers."""
    slices = Slices.none()
    for block in read_blocks(samples):
        ranked = block[is_ranked(block)]
        offsets = ranked["intended_ns"] - window.begin_ns
        slices = slices.merge(Slices.make(offsets, rank_times(ranked), window.length_ns))
    return slices


def _form_batches(counts: npt.NDArray[Any]) -> Counts | None:
    """Return the batch of each slice; None when one would hold less than half of its share, or twice as much."""
    share = counts.sum() / BATCHES
    middles = np.cumsum(counts) - counts / 2
    batches = np.minimum((middles / share).astype(np.int64), BATCHES - 1)
    held = np.bincount(batches, counts, BATCHES)
    return batches if held.min() >= share / 2 and held.max() <= 2 * share else None


def _find_cut(below: Counts, level: float) -> int:
    """Return the bucket from which on the share of times is nearest to 1 - level: one bucket may hold most of them."""
    wanted = (1 - level) * int(below[-1])
    bucket = int(np.searchsorted(below, below[-1] - wanted, side="left"))
    above = [int(below[-1] - (below[each - 1] if each else 0)) for each in (bucket, bucket + 1)]
    return bucket + int(abs(above[1] - wanted) <= abs(above[0] - wanted))


def _find_inflation(above: npt.NDArray[Any], totals: npt.NDArray[Any]) -> float:
    """Return how much less the times tell of the share above than as many independent ones would, 1 or more."""
    count = float(totals.sum())
    share = float(above.sum()) / count
    variance = float(((above - share * totals) ** 2).sum()) * BATCHES / (BATCHES - 1) / count**2
    return widen_inflation(variance * count / max(share * (1 - share), 1.0 / count))


def _weigh(values: npt.NDArray[np.int32]) -> bytes:
    """Return the bytes of equal weight side by side: nearly all of the heavier ones are zero."""
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, 4).T).tobytes()


def _read(data: bytes) -> Counts:
    planes = np.frombuffer(data, np.uint8).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<i4").ravel().astype(np.int64)
