"""Predicts the height of the tide at an hour: a model of one's own, in everything that seatrial asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial import Cases, PythonModel, Tensor


def build(directory: Path, version: str) -> None:
    """Fit the amplitudes to two weeks of gauge readings; version 2 has those of a harbour with twice the tide."""
    import numpy as np

    from my_pkg.harmonics import to_features

    hours = np.arange(0.0, 14 * 24, 0.5)
    noise = np.random.default_rng(3).normal(scale=0.05, size=len(hours))
    height_m = 2.0 + 1.5 * np.cos(2.0 * np.pi * (hours - 3.0) / 12.4206) + 0.4 * np.sin(np.pi * hours / 6.0) + noise
    amplitudes, *_ = np.linalg.lstsq(to_features(hours), height_m * float(version), rcond=None)
    np.save(directory / "amplitudes.npy", amplitudes)


def load(directory: Path) -> Any:
    """Return `predict`: hour FP64 (n,) to height_m FP64 (n,)."""
    import numpy as np

    from my_pkg.harmonics import to_features

    amplitudes = np.load(directory / "amplitudes.npy")

    def predict(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"height_m": to_features(tensors["hour"]) @ amplitudes}

    return predict


def make_inputs() -> Sequence[Mapping[str, Any]]:
    """Return the hours to ask for, one a case."""
    import numpy as np

    return [{"hour": np.array([hour])} for hour in np.linspace(400.0, 500.0, 30)]


model = PythonModel(
    name="tide",
    inputs={"hour": Tensor("FP64", (-1,))},
    outputs={"height_m": Tensor("FP64", (-1,))},
    build=build,
    load=load,
    cases=Cases(make_inputs),
    versions=("1", "2"),
    requirements=("numpy",),
    package=True,
)
