"""Questions that are made of golden cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from seatrial.model import Case, Manifest, ModelDirectory, TensorSpec
from seatrial_suites.conformance.placing import join_cases

MANIFEST = Manifest(
    name="m",
    version="1",
    inputs=(TensorSpec(name="x", datatype="INT64", shape=(-1, -1)),),
    outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
    entry="m:model",
    python="3.11",
    files={},
)


def make_model(*shapes: tuple[int, int]) -> ModelDirectory:
    class Made:
        manifest = MANIFEST
        path = Path("nowhere")
        cases = tuple(
            Case(name=f"case-{number}", inputs={"x": np.full(shape, number)}, outputs={"y": np.zeros(shape[0])})
            for number, shape in enumerate(shapes)
        )

    return cast("ModelDirectory", Made())


def read_rows(model: ModelDirectory, rows: int) -> list[Any]:
    return cast("list[Any]", join_cases(model, rows)["x"].tolist())


def test_cases_whose_rows_have_another_shape_make_no_batch_with_the_first() -> None:
    assert read_rows(make_model((0, 2), (1, 2), (1, 3), (1, 2)), 3) == [[1, 1], [3, 3], [1, 1]]


def test_where_no_case_has_a_row_the_first_is_taken() -> None:
    assert read_rows(make_model((0, 2), (0, 3)), 1) == []
