"""Questions made of a signature: of its types and shapes, no two alike, the same from the same seed."""

from __future__ import annotations

import pytest

from seatrial.errors import UsageError
from seatrial.learning import MOST_CASES, draw_questions
from seatrial.model import TensorSpec
from seatrial.tensors import NUMPY_DTYPES, fits


def spec(datatype: str, *shape: int, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


@pytest.mark.parametrize("datatype", NUMPY_DTYPES)
def test_every_type_has_questions_that_fit_it(datatype: str) -> None:
    declared = spec(datatype, -1, 16)
    questions = draw_questions([declared], 1)

    assert len(questions) == MOST_CASES
    for question in questions:
        assert question["x"].dtype == NUMPY_DTYPES[datatype]
        assert question["x"].shape == (1, 16)
        assert fits(question["x"].shape, declared.shape)
    assert len({repr(question["x"].tolist()) for question in questions}) == len(questions)


def test_the_seed_alone_decides() -> None:
    inputs = [spec("FP32", -1, 3), spec("BYTES", -1, 1, name="word")]

    def show(seed: int) -> list[str]:
        return [repr({name: array.tolist() for name, array in each.items()}) for each in draw_questions(inputs, seed)]

    assert show(7) == show(7)
    assert show(7) != show(8)


def test_what_has_few_questions_has_no_two_alike() -> None:
    assert len(draw_questions([spec("BOOL", -1)], 1)) == 2


def test_inputs_of_any_length_have_the_same() -> None:
    for question in draw_questions([spec("INT64", -1, -1), spec("INT64", -1, -1, name="mask")], 1):
        assert question["x"].shape == question["mask"].shape
        assert question["x"].shape[0] == 1


def test_large_questions_are_few_and_too_large_ones_none() -> None:
    assert len(draw_questions([spec("UINT8", -1, 3, 300, 300)], 1)) < 8
    with pytest.raises(UsageError, match="too many to make up"):
        draw_questions([spec("UINT8", -1, 4, 1024, 1024)], 1)
