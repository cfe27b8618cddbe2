"""What the image is to answer: the model's signature, and how the right answers come about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatrial import Cases, PythonModel, Tensor

FACTORS = {"1": 2.0, "2": 3.0}


def build(directory: Path, version: str) -> None:
    (directory / "factor").write_text(str(FACTORS[version]))


def load(directory: Path) -> Callable[[Any], Any]:
    factor = float((directory / "factor").read_text())
    return lambda tensors: {"y": tensors["x"] * factor}


def make_inputs() -> list[Any]:
    import numpy as np

    return [{"x": np.array([value, -value])} for value in (0.0, 1.5, 1e300)]


model = PythonModel(
    name="doubling",
    inputs={"x": Tensor("FP64", (-1,))},
    outputs={"y": Tensor("FP64", (-1,))},
    build=build,
    load=load,
    cases=Cases(make_inputs),
    versions=("1", "2"),
)
