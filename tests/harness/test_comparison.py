"""An answer is right only when names, types, shapes and every element are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.comparison import compare
from seatrial.model import Manifest, TensorSpec, Tolerance


def manifest_of(datatype="FP64", *, names=("y",), shape=(-1,), absolute=1e-9, relative=1e-6):
    return Manifest(
        name="m",
        version="1",
        inputs=(),
        outputs=tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name in names),
        entry="m:model",
        python="3.11",
        files={},
        tolerance=Tolerance(absolute=absolute, relative=relative),
    )


def compare_one(want, got, datatype="FP64", **options):
    return compare({"y": np.asarray(want)}, {"y": np.asarray(got)}, manifest_of(datatype, **options))


def text(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def test_equal_floats_are_right_and_have_no_error():
    outcome = compare_one([1.0, -2.5], [1.0, -2.5])
    assert (outcome.right, outcome.worst_absolute, outcome.worst_relative, outcome.message) == (True, 0.0, 0.0, "")


def test_the_tolerance_is_absolute_plus_relative_of_the_golden_value():
    assert compare_one([100.0], [100.0 + 1.09], absolute=0.1, relative=0.01).right
    assert not compare_one([100.0], [100.0 + 1.11], absolute=0.1, relative=0.01).right
    # The reference is the golden value, not the answer: the other way round 111 would still do.
    assert not compare_one([100.0], [111.0], absolute=0.0, relative=0.1).right
    assert compare_one([111.0], [100.0], absolute=0.0, relative=0.1).right


def test_the_worst_errors_are_reported_also_when_right():
    outcome = compare_one([10.0, 1000.0], [10.001, 1000.002], absolute=1.0)
    assert outcome.right
    assert outcome.worst_absolute == pytest.approx(0.002)
    assert outcome.worst_relative == pytest.approx(1e-4)


def test_message_counts_the_wrong_and_shows_the_first():
    want = np.zeros((2, 3))
    got = want.copy()
    got[0, 2] = 0.5
    got[1, 1] = 9.0
    outcome = compare({"y": want}, {"y": got}, manifest_of(shape=(-1, 3)))
    assert not outcome.right
    assert "output y: 2 of 6 elements wrong, the first at [0, 2]: got 0.5, expected 0.0" in outcome.message
    assert "off by 0.5" in outcome.message
    assert outcome.worst_absolute == 9.0


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_right_only_where_golden(special):
    assert compare_one([special, 1.0], [special, 1.0]).right
    assert not compare_one([special, 1.0], [1.0, 1.0], absolute=1e300).right
    outcome = compare_one([1.0, 1.0], [1.0, special], absolute=1e300)
    assert not outcome.right
    assert outcome.worst_absolute == math.inf
    assert "the first at [1]" in outcome.message


def test_infinity_of_the_other_sign_is_wrong():
    assert not compare_one([math.inf], [-math.inf], relative=1.0).right


def test_a_zero_golden_value_does_not_make_the_relative_error_infinite():
    outcome = compare_one([0.0], [1e-12])
    assert outcome.right
    assert outcome.worst_relative == 0.0


def test_half_precision_is_compared_without_overflowing():
    largest = np.finfo(np.float16).max
    outcome = compare_one(np.array([largest]), np.array([-largest]), "FP16")
    assert not outcome.right
    assert outcome.worst_absolute == 131008.0


def test_integers_must_be_equal_also_beyond_what_a_double_holds():
    assert compare_one(np.array([2**53 + 1]), np.array([2**53 + 1]), "INT64").right
    outcome = compare_one(np.array([2**53 + 1]), np.array([2**53]), "INT64", absolute=10.0)
    assert not outcome.right
    assert "got 9007199254740992, expected 9007199254740993" in outcome.message


def test_booleans_must_be_equal():
    assert compare_one([True, False], [True, False], "BOOL").right
    assert not compare_one([True, False], [True, True], "BOOL").right


def test_strings_must_be_the_same_code_points():
    composed, decomposed = "\u00e9", "e\u0301"
    assert compare_one(text(composed, "\U0001d49c"), text(composed, "\U0001d49c"), "BYTES").right
    outcome = compare_one(text(composed), text(decomposed), "BYTES")
    assert not outcome.right
    assert r"got 'e\u0301', expected '\xe9'" in outcome.message


def test_bytes_are_not_text():
    assert not compare_one(text("a"), text(b"a"), "BYTES").right


def test_a_long_string_is_cut_in_the_message():
    message = compare_one(text("a" * 5000), text("b" * 5000), "BYTES").message
    assert len(message) < 400
    assert "5002 characters" in message


def test_another_shape_is_wrong_even_with_the_same_elements():
    outcome = compare_one(np.zeros((2, 3)), np.zeros((3, 2)), shape=(-1, -1))
    assert not outcome.right
    assert outcome.message == "output y has shape [3, 2], expected [2, 3]"


def test_another_element_type_is_wrong_even_when_the_numbers_are_equal():
    outcome = compare_one(np.array([1.0]), np.array([1.0], dtype=np.float32))
    assert outcome.message == "output y has elements of float32, expected FP64"


def test_missing_and_unexpected_outputs_are_wrong_and_the_rest_is_still_compared():
    manifest = manifest_of(names=("a", "b"))
    want = {"a": np.array([1.0]), "b": np.array([2.0])}
    assert compare(want, dict(want), manifest).right
    missing = compare(want, {"b": np.array([3.0])}, manifest)
    assert "outputs are ['b'], expected ['a', 'b']" in missing.message
    assert "output b: 1 of 1 elements wrong" in missing.message
    assert not compare(want, {**want, "c": np.array([0.0])}, manifest).right


def test_every_wrong_output_is_named():
    manifest = manifest_of(names=("a", "b"))
    outcome = compare(
        {"a": np.array([1.0]), "b": np.array([2.0])}, {"a": np.array([0.0]), "b": np.array([0.0])}, manifest
    )
    assert "output a" in outcome.message
    assert "output b" in outcome.message


def test_empty_batches_are_equal():
    assert compare_one(np.zeros((0,)), np.zeros((0,))).right
    assert compare_one(text(), text(), "BYTES").right


def test_a_scalar_is_compared():
    assert compare_one(np.float64(1.0), np.float64(1.0), shape=()).right
    assert "the first at []" in compare_one(np.float64(1.0), np.float64(2.0), shape=()).message


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.floats(), min_size=1))
def test_every_array_equals_itself(values):
    assert compare_one(np.array(values), np.array(values)).right


@given(finite, finite)
def test_agrees_with_numpy_isclose(want, got):
    with np.errstate(all="ignore"):
        expected = bool(np.isclose(got, want, rtol=1e-6, atol=1e-9))
    assert compare_one([want], [got]).right is expected
