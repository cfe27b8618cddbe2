"""R02: what a trial says of its targets' answers, from what R01 left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seatrial.model import Arrays, Manifest, TensorSpec
from seatrial.records import CheckRecord, CheckStatus
from seatrial.trial import answers
from seatrial.trial.answers import AnswerBook, read_answers
from seatrial.trial.equality import compare_targets

MANIFEST = Manifest(
    name="m",
    version="1",
    inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1,)),),
    outputs=(
        TensorSpec(name="y", datatype="FP32", shape=(-1,)),
        TensorSpec(name="word", datatype="BYTES", shape=(-1,)),
        TensorSpec(name="count", datatype="INT64", shape=(-1,)),
    ),
    entry="e",
    python="3.11",
    files={},
)


def make_answer(number: float, word: str = "é", count: int = 2**60 + 1) -> Arrays:
    return {
        "y": np.array([number, math.nan, math.inf], dtype=np.float32),
        "word": np.array([word], dtype=object),
        "count": np.array([count], dtype=np.int64),
    }


def leave(directory: Path, target: str, given: Mapping[str, Arrays], status: CheckStatus = "pass") -> CheckRecord:
    book = AnswerBook(directory, target, MANIFEST)
    for case, outputs in given.items():
        book.keep(case, outputs)
    return make_golden(target, status, dict(book.write()))


def make_golden(target: str, status: CheckStatus = "pass", facts: dict[str, Any] | None = None) -> CheckRecord:
    return CheckRecord(target=target, id="R01", title="t", level="MUST", status=status, facts=facts or {})


def compare(directory: Path, *checks: CheckRecord, order: str = "a,b,c") -> dict[str, CheckRecord]:
    return {each.target: each for each in compare_targets(checks, MANIFEST, directory, order.split(","))}


def test_answers_read_back_to_the_same_numbers(tmp_path: Path) -> None:
    given = {"one": make_answer(0.1), "two": make_answer(-1e-38, word="\U0001f600|\n", count=-(2**63))}
    facts = leave(tmp_path, "a", given).facts
    assert facts == {"answers": "answers/a.jsonl"}
    back = read_answers(tmp_path / "answers" / "a.jsonl", MANIFEST)
    assert list(back) == ["one", "two"]
    for case, outputs in given.items():
        for name, array in outputs.items():
            assert back[case][name].dtype == array.dtype
            np.testing.assert_array_equal(back[case][name], array)


def test_the_first_that_was_all_right_is_the_one_to_compare_with(tmp_path: Path) -> None:
    right = {"one": make_answer(1.0), "two": make_answer(2.0)}
    near = {"one": make_answer(1.0), "two": make_answer(2.0 + 2.0**-22)}
    wrong = {"one": make_answer(5.0), "two": make_answer(2.0)}
    checks = [leave(tmp_path, "b", right), leave(tmp_path, "c", near), leave(tmp_path, "a", wrong, "fail")]

    found = compare(tmp_path, *checks)

    assert {name: each.status for name, each in found.items()} == {"a": "fail", "b": "pass", "c": "pass"}
    assert "1 of 2 golden cases are answered otherwise than b answers them:\none: output y" in found["a"].message
    assert found["c"].facts == {
        "compared_with": "b",
        "cases": 2,
        "different": 0,
        "worst_absolute_difference": 2.0**-22,
        "worst_relative_difference": 2.0**-23,
        "worst_case": "two",
        "worst_pair": "b and c",
    }
    assert found["b"].facts["compared_with"] == "a, c"
    assert found["b"].facts["worst_pair"] == "b and a"
    assert found["b"].facts["worst_absolute_difference"] == 4.0


@pytest.mark.parametrize(
    "other", [make_answer(1.0, word="e\u0301"), make_answer(1.0, count=2**60), {"y": make_answer(1.0)["y"]}]
)
def test_what_is_no_float_is_the_same_or_is_not(tmp_path: Path, other: Arrays) -> None:
    checks = [leave(tmp_path, "a", {"one": make_answer(1.0)}), leave(tmp_path, "b", {"one": other})]
    assert compare(tmp_path, *checks)["b"].status == "fail"


def test_of_one_target_nothing_is_said(tmp_path: Path) -> None:
    assert compare(tmp_path, leave(tmp_path, "a", {"one": make_answer(1.0)}), order="a") == {}


def test_where_golden_cases_were_not_asked_nothing_is_said(tmp_path: Path) -> None:
    assert compare(tmp_path) == {}


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        (("pass", None), ("fewer than two targets", "answered no golden case")),
        (("fail", "fail"), ("no target answered every", "no target answered every")),
        (("fail", None), ("fewer than two targets", "answered no golden case")),
    ],
)
def test_what_cannot_be_compared_is_not_run(
    tmp_path: Path, given: tuple[CheckStatus | None, ...], reasons: tuple[str, ...]
) -> None:
    checks = [
        leave(tmp_path, name, {"one": make_answer(1.0)}, status) if status else make_golden(name, "error")
        for name, status in zip("ab", given, strict=True)
    ]
    found = compare(tmp_path, *checks)
    for name, reason in zip("ab", reasons, strict=True):
        assert (found[name].status, reason in found[name].message) == ("not-run", True)


def test_targets_with_no_case_in_common_are_not_compared(tmp_path: Path) -> None:
    checks = [leave(tmp_path, "a", {"one": make_answer(1.0)}), leave(tmp_path, "b", {"two": make_answer(1.0)}, "fail")]
    assert {each.status for each in compare(tmp_path, *checks).values()} == {"not-run"}


def test_answers_that_cannot_be_read_again_are_an_error_and_no_pass(tmp_path: Path) -> None:
    checks = [leave(tmp_path, name, {"one": make_answer(1.0)}) for name in "abc"]
    (tmp_path / "answers" / "b.jsonl").write_text('{"case": "one"')
    found = compare(tmp_path, *checks)
    assert {name: each.status for name, each in found.items()} == {"a": "pass", "b": "error", "c": "pass"}


def test_a_file_of_answers_has_a_bound_and_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_BYTES", 400)
    given = {f"case-{number}": make_answer(float(number)) for number in range(10)}
    facts = leave(tmp_path, "a", given).facts
    assert (tmp_path / "answers" / "a.jsonl").stat().st_size <= 400
    kept = read_answers(tmp_path / "answers" / "a.jsonl", MANIFEST)
    assert facts["answers_left_out"] == 10 - len(kept) > 0
