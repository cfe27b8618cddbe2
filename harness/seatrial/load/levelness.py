"""Whether response times were level over the timed window of a run."""

from __future__ import annotations

from typing import Final

import numpy as np

from seatrial.load.blocks import read_blocks
from seatrial.load.driver import PacerRun
from seatrial.load.lateness import is_sent
from seatrial.load.stationarity import WindowVerdict, judge_window
from seatrial.load.window import find_window

MOST_LOOKED_AT: Final = 200_000
"""Of more requests each n-th is looked at: a change that so many do not show is none."""


def judge_levelness(run: PacerRun) -> WindowVerdict:
    """Return whether response times of the window's requests, however they ended, were level in the order of their ends."""
    window = find_window(run)
    sent = sum(int(np.count_nonzero(is_sent(block))) for block in read_blocks(run.samples))
    step = max(-(-sent // MOST_LOOKED_AT), 1)
    looked_at = np.empty((2, -(-sent // step)), np.int64)
    passed = filled = 0
    for block in read_blocks(run.samples):
        timed = is_sent(block)
        chosen = slice(-passed % step, None, step)
        ends = block["last_ns"][timed][chosen]
        looked_at[:, filled : filled + len(ends)] = ends, ends - block["intended_ns"][timed][chosen]
        passed += int(np.count_nonzero(timed))
        filled += len(ends)
    return judge_window(looked_at[0] - window.begin_ns, looked_at[1], elapsed_s=window.length_ns / 1e9)
