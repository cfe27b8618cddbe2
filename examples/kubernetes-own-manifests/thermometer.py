"""What the service is to answer: the model's signature, and how the right answers come about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatrial import Cases, PythonModel, Tensor

# Version: factor and offset from degrees Celsius. 1 is Fahrenheit, 2 is Kelvin.
SCALES = {"1": (1.8, 32.0), "2": (1.0, 273.15)}


def build(directory: Path, version: str) -> None:
    factor, offset = SCALES[version]
    (directory / "scale").write_text(f"{factor} {offset}")


def load(directory: Path) -> Callable[[Any], Any]:
    factor, offset = map(float, (directory / "scale").read_text().split())
    return lambda tensors: {"degrees": tensors["celsius"] * factor + offset}


def make_inputs() -> list[Any]:
    import numpy as np

    return [{"celsius": np.array(values)} for values in ([0.0], [100.0], [-40.0, 36.6, 21.0])]


model = PythonModel(
    name="thermometer",
    inputs={"celsius": Tensor("FP64", (-1,))},
    outputs={"degrees": Tensor("FP64", (-1,))},
    build=build,
    load=load,
    cases=Cases(make_inputs),
    versions=("1", "2"),
)
