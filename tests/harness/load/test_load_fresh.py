"""Questions that nobody has asked before: of golden cases, with their answers, and none twice."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seatrial.endpoint import Endpoint
from seatrial.load.fresh import PARTS, make_fresh
from seatrial.model import Case, Manifest, TensorSpec
from seatrial.trial.measuring import LoadOrder, make_questions

MANIFEST = Manifest(
    name="squares",
    version="1",
    inputs=(TensorSpec(name="number", datatype="INT64", shape=(-1, 2)),),
    outputs=(TensorSpec(name="answer", datatype="INT64", shape=(-1,)),),
    entry="model.py",
    python="3.11",
    files={},
)


def make_case(number: int, width: int = 2) -> Case:
    inputs = np.full((1, width), number, np.int64)
    return Case(name=str(number), inputs={"number": inputs}, outputs={"answer": inputs[:, 0] ** 2})


def make_cases(count: int) -> list[Case]:
    return [make_case(number) for number in range(count)]


def read(case: Case) -> tuple[int, ...]:
    return tuple(case.inputs["number"][:, 0].tolist())


@pytest.mark.parametrize(("count", "most", "length"), [(100, 1000, 8), (100, 5000, 9), (9, 1000, 8), (100, 10, 5)])
def test_no_question_comes_twice_in_any_part(count: int, most: int, length: int) -> None:
    parts = [make_fresh(make_cases(count), MANIFEST, part=part, most=most) for part in range(PARTS)]
    questions = [read(case) for part in parts for case in part]

    assert len(questions) == PARTS * most
    assert len(set(questions)) == len(questions)
    assert {len(question) for question in questions} == {length}
    assert len({tuple(sorted(question)) for question in questions}) == 1, "each takes as much work as any other"


def test_another_start_has_other_questions() -> None:
    here, there = (make_fresh(make_cases(100), MANIFEST, part=0, most=100, start=start) for start in (0, 123_456_789))

    assert len({read(case) for case in here} | {read(case) for case in there}) == 200


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_an_order_of_one_question_asks_one_of_as_much_work(attempt: int) -> None:
    model = SimpleNamespace(manifest=MANIFEST, cases=make_cases(100))
    endpoint = Endpoint(address="http://127.0.0.1:1", wire="v2", path="loopback")
    deployment: Any = SimpleNamespace(model=model, endpoint=endpoint)
    trial: Any = SimpleNamespace(
        settings=SimpleNamespace(general=SimpleNamespace(allow_remote=())),
        directory=SimpleNamespace(path=Path("a-trial")),
    )
    orders = (
        LoadOrder(name="varied", rate=20.0, fresh=1),
        LoadOrder(name="one", rate=20.0, fresh=2, cases=1),
        LoadOrder(name="varied", rate=20.0, fresh=3),
    )

    varied, one, again = (make_questions(trial, deployment, order, attempt).cases for order in orders)

    assert len(varied) == len(again) > 20 * 35
    assert len(one) == 1
    assert sorted(read(one[0])) == sorted(read(varied[0])) == sorted(read(again[0]))
    assert len({read(case) for case in (*varied, *one, *again)}) == len(varied) + 1 + len(again)


def test_each_has_the_answers_of_its_cases() -> None:
    for case in make_fresh(make_cases(20), MANIFEST, part=3, most=30):
        assert case.outputs["answer"].tolist() == [number**2 for number in read(case)]
        assert case.name == " + ".join(map(str, read(case)))


def test_of_few_cases_there_are_as_many_as_there_can_be() -> None:
    parts = [make_fresh(make_cases(6), MANIFEST, part=part, most=1000) for part in range(PARTS)]

    assert [len(part) for part in parts] == [math.factorial(6) // PARTS] * PARTS
    assert {read(case) for part in parts for case in part} == set(itertools.permutations(range(6)))


def test_what_they_take_together_is_bounded() -> None:
    wide = [make_case(number, width=1 << 20) for number in range(5)]

    assert len(make_fresh(wide, MANIFEST, part=0, most=50)) < len(make_fresh(make_cases(5), MANIFEST, part=0, most=50))


def test_there_are_none_without_batches() -> None:
    alone = Manifest(
        name="one",
        version="1",
        inputs=(TensorSpec(name="number", datatype="INT64", shape=(2,)),),
        outputs=MANIFEST.outputs,
        entry="model.py",
        python="3.11",
        files={},
    )

    assert make_fresh(make_cases(9), alone, part=0, most=10) == ()
    assert make_fresh(make_cases(1), MANIFEST, part=0, most=10) == ()
    assert make_fresh([make_case(1), make_case(2, width=3)], MANIFEST, part=0, most=10) == ()
