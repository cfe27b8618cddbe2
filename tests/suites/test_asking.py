"""What checks ask, and whether it could show anything."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seatrial.model import Case, ModelDirectory
from seatrial.model_building import build_python_model
from seatrial_suites.conformance.asking import is_told_apart
from seatrial_suites.conformance.test_correctness import _choose_batch


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[ModelDirectory]:
    directory = tmp_path_factory.mktemp("versions")
    return [
        ModelDirectory.open(Path(path))
        for path in build_python_model("seatrial_fixtures.models.nonce:model", directory)
    ]


def test_versions_are_told_apart_by_another_answer_to_the_same_question(versions: list[ModelDirectory]) -> None:
    first, second = versions
    assert is_told_apart(first, second)
    assert not is_told_apart(first, first)
    strangers: Any = SimpleNamespace(
        cases=[
            dataclasses.replace(case, inputs={**case.inputs, "number": case.inputs["number"] + 5000})
            for case in first.cases[:1]
        ]
    )
    assert not is_told_apart(strangers, second), "another answer to another question shows nothing"


@pytest.mark.parametrize(
    ("rows", "wanted"), [([1], 2), ([0, 1, 0], 2), ([3], 3), ([1, 1], 2), ([0], 0), ([1] * 20, 16)]
)
def test_a_batch_has_two_rows_at_least(rows: list[int], wanted: int) -> None:
    cases = [Case(name=str(count), inputs={"x": np.zeros((count, 2))}, outputs={}) for count in rows]
    model: Any = SimpleNamespace(cases=cases)
    assert sum(case.inputs["x"].shape[0] for case in _choose_batch(model)) == wanted
