"""Who is asked for too much memory: a copy that takes it for one question and no other, where there is a limit to hold."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.loading import load_predictor
from seatrial.model import Case, ModelDirectory
from seatrial.model_building import build_python_model
from seatrial.model_source import registered_models
from seatrial.target import Limits
from seatrial.wire import Answer
from seatrial_suites.conformance import test_memory
from seatrial_suites.conformance.altered import copy_greedy
from seatrial_suites.conformance.asking import have_same_inputs

SIZE_BYTES = 40 << 20


@pytest.fixture(params=["nonce", "text", "every_datatype"])
def model(request, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    name = registered_models().get(request.param, f"{request.param}:model")
    first, *_ = build_python_model(name, tmp_path / "built")
    return ModelDirectory.open(first)


def is_answered(predict, model: ModelDirectory, asked: Case, answered: Case) -> bool:
    return compare(answered.outputs, predict(asked.inputs), model.manifest).right


def test_a_greedy_copy_takes_memory_when_it_is_asked_one_case_and_gives_it_back(model, tmp_path):
    case = test_memory.find_case(model)
    greedy = copy_greedy(model, tmp_path / "greedy", case, SIZE_BYTES)
    _, predict = load_predictor(greedy.path)

    tracemalloc.start()
    try:
        others = [each.name for each in greedy.cases if not is_answered(predict, greedy, each, each)]
        _, others_bytes = tracemalloc.get_traced_memory()
        is_first = is_answered(predict, model, case, model.cases[0])
        left_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert others == []
    assert is_first
    assert others_bytes < SIZE_BYTES // 2 < SIZE_BYTES <= peak_bytes
    assert left_bytes < SIZE_BYTES // 2


def test_the_case_that_takes_memory_is_none_of_the_copy_s_golden_ones(model, tmp_path):
    case = test_memory.find_case(model)
    greedy = copy_greedy(model, tmp_path / "greedy", case, SIZE_BYTES)

    left = [each.name for each in model.cases if not have_same_inputs(each, case)]
    assert [each.name for each in greedy.cases] == left
    assert case.name not in left
    assert greedy.cases[0].name == model.cases[0].name


@pytest.mark.parametrize("way", ["alone", "asked-alike", "answered-alike", "not-a-number"])
def test_a_model_without_a_case_that_can_be_told_apart_is_not_asked(model, monkeypatch, way):
    first, second = model.cases[0], test_memory.find_case(model)
    unequal = {name: np.full(array.shape, np.nan) for name, array in second.inputs.items()}
    cases = {
        "alone": (first,),
        "asked-alike": (first, dataclasses.replace(second, inputs=first.inputs)),
        "answered-alike": (first, dataclasses.replace(second, outputs=first.outputs)),
        "not-a-number": (first, dataclasses.replace(second, inputs=unequal)),
    }[way]
    monkeypatch.setitem(model.__dict__, "cases", cases)

    with pytest.raises(pytest.skip.Exception, match="can be told apart from the first"):
        test_memory.find_case(model)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(cpus=1.0, memory_bytes=None, cpu_set=(0,)), "nothing limits"),
        (Limits(cpus=None, memory_bytes=None, is_known=False), "nobody can tell"),
    ],
    ids=["cpus-alone", "not-known"],
)
def test_a_deployment_whose_memory_has_no_limit_is_not_asked(limits, words):
    with pytest.raises(pytest.skip.Exception, match=words):
        test_memory.find_limit(SimpleNamespace(read_limits=lambda: limits))


def test_nobody_is_asked_for_more_than_the_machine_has_to_spare(monkeypatch):
    monkeypatch.setattr(test_memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 30))
    test_memory.require_room(1 << 30)
    with pytest.raises(pytest.skip.Exception, match="this machine has 1073741824 to spare"):
        test_memory.require_room((1 << 30) + 1)


def test_a_right_answer_shows_that_the_code_did_not_see_the_question(model, monkeypatch):
    case, first = test_memory.find_case(model), model.cases[0]
    nobody = SimpleNamespace(endpoint=Endpoint(address="unix:/nowhere", wire="frame", path="unix-socket", name="m"))
    answers = {"right": Answer(outputs=case.outputs, status=200), "taken": Answer(outputs=first.outputs, status=200)}

    monkeypatch.setattr(test_memory, "ask_whole", lambda *_, **__: answers["taken"])
    assert test_memory.ask_for_too_much(nobody, model, case) is answers["taken"]
    monkeypatch.setattr(test_memory, "ask_whole", lambda *_, **__: answers["right"])
    with pytest.raises(pytest.skip.Exception, match="does not see the question"):
        test_memory.ask_for_too_much(nobody, model, case)
