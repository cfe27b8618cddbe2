"""How many predictions were at work at once, read from logs as targets write them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from seatrial_suites.conformance.at_work import MARK, AtWork, name_machine
from seatrial_suites.conformance.working import Prediction, count_at_once, read_predictions


def tell(token: str, what: str, at_ns: int) -> str:
    return f"{MARK} machine {token} {what} {at_ns}"


def take(*spans: tuple[int, int | None]) -> list[Prediction]:
    return [Prediction(machine="machine", entered_ns=entered_ns, left_ns=left_ns) for entered_ns, left_ns in spans]


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ((), 0),
        (((1, 5),), 1),
        (((1, 5), (5, 9)), 1),
        (((1, 6), (5, 9)), 2),
        (((1, 9), (2, 3), (4, 5)), 2),
        (((1, 9), (2, 8), (3, 7), (9, 10)), 3),
        (((1, None), (2, None)), 2),
    ],
)
def test_those_are_at_once_of_which_none_is_left_before_another_is_entered(
    spans: Sequence[tuple[int, int | None]], most: int
) -> None:
    assert count_at_once(take(*spans)) == most


def test_lines_are_read_whatever_stands_before_them_and_in_any_order() -> None:
    lines = [
        "2026-11-28T11:00:00Z INFO listening",
        f"pod-1 stderr F {tell('0b', 'left', 8)}",
        tell("0a", "left", 6),
        f"2026-11-28T11:00:00Z {tell('0a', 'entered', 5)}",
        f"pod-1 stderr F {tell('0b', 'entered', 2)}",
        tell("0c", "entered", 9),
        tell("0d", "left", 9),
        "seatrial at work: not told by a model",
    ]

    assert read_predictions(lines) == take((2, 8), (5, 6), (9, None))


class Doubles:
    def load(self, directory: Path) -> Any:
        return lambda tensors: {name: 2 * value for name, value in tensors.items()}


def ask_in_threads(predict: Any, numbers: Sequence[int]) -> dict[int, Mapping[str, int]]:
    answers: dict[int, Mapping[str, int]] = {}
    asking = [threading.Thread(target=lambda n=each: answers.update({n: predict({"n": n})})) for each in numbers]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    return answers


def test_a_model_answers_as_ever_and_waits_for_as_many_as_are_expected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    predict = AtWork(Doubles(), expected=3, patience_s=60.0, hold_s=0.0).load(tmp_path)

    answers = ask_in_threads(predict, [1, 2, 3])

    assert answers == {1: {"n": 2}, 2: {"n": 4}, 3: {"n": 6}}
    told = read_predictions(capfd.readouterr().err.splitlines())
    assert {each.machine for each in told} == {name_machine()}
    assert (len(told), count_at_once(told)) == (3, 3)


def test_a_model_waits_once_for_those_who_do_not_come(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    predict = AtWork(Doubles(), expected=2, patience_s=0.0, hold_s=0.0).load(tmp_path)

    assert [predict({"n": each}) for each in (1, 2)] == [{"n": 2}, {"n": 4}]

    told = read_predictions(capfd.readouterr().err.splitlines())
    assert (len(told), count_at_once(told)) == (2, 1)


def test_a_prediction_that_fails_is_left_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    predict = AtWork(Doubles(), expected=1, patience_s=0.0, hold_s=0.0).load(tmp_path)

    with pytest.raises(AttributeError):
        predict(None)

    assert [each.left_ns is not None for each in read_predictions(capfd.readouterr().err.splitlines())] == [True]
