"""What a machine could tell apart, as a calibration would have found it."""

from __future__ import annotations

from seatrial.load.calibration import Calibration


def make_calibration(floor_s: float | None) -> Calibration:
    """Return one with a noise floor, seconds, of the median and of p99; one that is not valid where it is None."""
    return Calibration(
        valid=floor_s is not None,
        noise_floor_p50_s=floor_s,
        noise_floor_p99_s=floor_s,
        longest_s=0.05,
        network_p50_s=None,
        network_p99_s=None,
        dispatch_lag_p50_s=None,
        dispatch_lag_p99_s=None,
        specimens=(),
        rate=200.0,
        duration_s=1.0,
        cpus=2,
        steal_share=None,
        made_at="2026-11-22T10:15:00Z",
    )
