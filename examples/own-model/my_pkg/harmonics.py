"""The tide as a sum of waves of known periods; what is learnt are their amplitudes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Principal lunar and solar constituents, and the lunisolar one, in hours.
PERIODS_H = (12.4206, 12.0, 23.9345)


def to_features(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a constant and a cosine and sine of each period: (n,) hours to (n, 7)."""
    angles = 2.0 * np.pi * hours[:, np.newaxis] / np.array(PERIODS_H)
    return np.hstack([np.ones((len(hours), 1)), np.cos(angles), np.sin(angles)])
