"""Samples as entries of Locust's statistics: what its page, files and charts show.

The row under the path has all requests, with response times from the *intended* send. Those that failed rank above all answers
there, as long as the whole run, so that none improves a percentile. A second row has the failures once more, by themselves, with
the times at which they failed. Aggregated counts each request once, as the first row does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Final

import numpy as np
from locust.stats import RequestStats, StatsEntry, StatsError

from seatrial.load.arrivals import SECOND_NS
from seatrial.load.histogram import Histogram, find_middles
from seatrial.load.samples import SUCCESSES, Outcome, Samples
from seatrial.load.tally import SERIES

DIGITS: Final = 3
"""Of response times in Locust's statistics, which are milliseconds: within 0.5 % of ours."""


class Statistics:
    """Adds samples to Locust's statistics.

    Args:
        stats: of this process's environment.
        method: of the requests.
        path: of the requests.
        whole_s: length of the run with its drain, longer than any answer takes.
    """

    def __init__(self, stats: RequestStats, *, method: str, path: str, whole_s: float) -> None:
        self._stats = stats
        self._method = method
        self._path = path
        self._whole_ms = whole_s * 1e3
        # Locust counts by seconds of a wall clock, and puts together what workers counted.
        self._wall_ns = time.time_ns() - time.monotonic_ns()

    def set_clock(self, wall_ns: int, at_ns: int) -> None:
        """Count by the master's wall clock, which shows that time at a time of CLOCK_MONOTONIC here; that of here may differ."""
        self._wall_ns = wall_ns - at_ns

    def add(self, samples: Samples) -> None:
        """Add the samples of the timed window."""
        timed = samples[samples["phase"] == 0]
        if not len(timed):
            return
        response_times, failure_times = Histogram(), Histogram()
        response_times.add(SERIES["response"](timed))
        failure_times.add(SERIES["failure"](timed))
        failed = timed[~np.isin(timed["outcome"], SUCCESSES)]
        self._stats.total.extend(self._make_entry("Aggregated", timed, response_times))
        for name, rows, times in (
            (self._path, timed, response_times),
            (f"{self._path} (failed)", failed, failure_times),
        ):
            if len(rows):
                self._stats.get(name, self._method).extend(self._make_entry(name, rows, times))
        self._add_errors(timed)

    def _make_entry(self, name: str, rows: Samples, times: Histogram) -> StatsEntry:
        """Return an entry of requests, of which some have times; the others have none, and are in no percentile."""
        failed = rows[~np.isin(rows["outcome"], SUCCESSES)]
        ends_ms = [each / 1e6 for each in (times.min_ns, times.max_ns) if each >= 0]
        ends_ms += [self._whole_ms] * bool(times.beyond)
        # In the form in which Locust's workers report; its annotations say int, its own clients give floats.
        data: Any = {
            "name": name,
            "method": self._method,
            "last_request_timestamp": (int(rows["last_ns"].max()) + self._wall_ns) / SECOND_NS,
            "start_time": self._read_clock_s(),
            "num_requests": len(rows),
            "num_none_requests": len(rows) - times.count,
            "num_failures": len(failed),
            "total_response_time": times.total_ns / 1e6 + times.beyond * self._whole_ms,
            "max_response_time": max(ends_ms, default=0),
            "min_response_time": min(ends_ms, default=None),
            "total_content_length": int(rows["size_bytes"].sum()),
            "response_times": self._count_times(times),
            "num_reqs_per_sec": self._count_by_second(rows),
            "num_fail_per_sec": self._count_by_second(failed),
        }
        return StatsEntry.unserialize(data, self._stats)

    def _count_times(self, times: Histogram) -> dict[float, int]:
        """Return how many there are of each response time, milliseconds."""
        held = np.flatnonzero(times.counts)
        counts: dict[float, int] = defaultdict(int)
        for middle_ns, count in zip(find_middles(held).tolist(), times.counts[held].tolist(), strict=True):
            counts[float(f"{middle_ns / 1e6:.{DIGITS}g}")] += count
        if times.beyond:
            counts[self._whole_ms] += times.beyond
        return counts

    def _count_by_second(self, rows: Samples) -> dict[int, int]:
        seconds, counts = np.unique((rows["last_ns"] + self._wall_ns) // SECOND_NS, return_counts=True)
        return dict(zip(seconds.tolist(), counts.tolist(), strict=True))

    def _read_clock_s(self) -> float:
        return (time.monotonic_ns() + self._wall_ns) / SECOND_NS

    def _add_errors(self, timed: Samples) -> None:
        failed = timed[~np.isin(timed["outcome"], SUCCESSES)]
        kinds, counts = np.unique(failed[["outcome", "status"]], return_counts=True)
        now_s = self._read_clock_s()
        for (outcome, status), count in zip(kinds.tolist(), counts.tolist(), strict=True):
            text = Outcome(outcome).name.lower().replace("_", " ") + (f", status {status}" if status else "")
            key = StatsError.create_key(self._method, self._path, text)
            error = self._stats.errors.setdefault(key, StatsError(self._method, self._path, text, first_seen=now_s))
            error.occurrences += count
            error.last_seen = now_s
