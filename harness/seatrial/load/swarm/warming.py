"""A warm-up that lasts until response times are level on every worker: what all say of it together, and what is due by it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seatrial.load.arrivals import Offsets
from seatrial.load.stationarity import WarmUpVerdict


def lay_out(warm_up_ns: Offsets, offsets_ns: Offsets, window_ns: int) -> Offsets:
    """Return when everything is due after the start: what comes of the warm-up before the window, then the window's schedule."""
    return np.concatenate([warm_up_ns[warm_up_ns < window_ns], offsets_ns + window_ns])


def describe_warm_up(verdicts: Mapping[str, WarmUpVerdict | None]) -> str:
    """Return how far the warm-up is, by the workers' names: what the first says whose times are not level yet."""
    waiting = {name: verdict for name, verdict in verdicts.items() if verdict is None or not verdict.over}
    name, verdict = next(iter((waiting or verdicts).items()))
    if verdict is None:
        return ""
    if len(verdicts) == 1:
        return verdict.message
    return f"{len(verdicts) - len(waiting)} of {len(verdicts)} workers level, {name}: {verdict.message}"
