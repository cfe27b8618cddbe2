"""What an array holds comes back from its JSON form, to the last bit, for every element type."""

from __future__ import annotations

import json
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatrial.tensors import FLOATS, NUMPY_DTYPES, fits, to_array, to_list

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
# Surrogates are no text: UTF-8 cannot carry them.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


def arrays(datatype):
    if datatype == "BYTES":
        return SHAPES.flatmap(
            lambda shape: st.lists(TEXT, min_size=math.prod(shape), max_size=math.prod(shape)).map(
                lambda items: np.array([*items, None], dtype=object)[:-1].reshape(shape)
            )
        )
    return hnp.arrays(NUMPY_DTYPES[datatype], SHAPES)


@pytest.mark.parametrize("datatype", NUMPY_DTYPES)
@given(data=st.data())
def test_what_goes_through_json_comes_back_the_same(datatype, data):
    array = data.draw(arrays(datatype))
    carried = json.loads(json.dumps(to_list(array), allow_nan=False))
    back = to_array(carried, datatype, array.shape)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    if datatype in FLOATS:
        # By bits, so that -0.0 is not 0.0; all NaN are one in JSON.
        same = (back.view(f"u{back.itemsize}") == array.view(f"u{array.itemsize}")) if array.ndim else back == array
        assert bool(np.all(same | (np.isnan(back) & np.isnan(array))))
    else:
        assert (back == array).all()


@pytest.mark.parametrize("datatype", [name for name, dtype in NUMPY_DTYPES.items() if dtype.kind in "iu"])
def test_the_extremes_of_integers_come_back(datatype):
    info = np.iinfo(NUMPY_DTYPES[datatype])
    extremes = [int(info.min), int(info.max)]
    assert to_array(extremes, datatype, (2,)).tolist() == extremes


@pytest.mark.parametrize("datatype", [name for name, dtype in NUMPY_DTYPES.items() if dtype.kind in "iu"])
def test_an_integer_that_does_not_fit_is_refused_and_not_wrapped(datatype):
    info = np.iinfo(NUMPY_DTYPES[datatype])
    for outside in (int(info.min) - 1, int(info.max) + 1):
        with pytest.raises(ValueError, match="does not fit"):
            to_array([outside], datatype, (1,))


@pytest.mark.parametrize("datatype", sorted(FLOATS))
def test_the_extremes_of_floats_come_back(datatype):
    info = np.finfo(NUMPY_DTYPES[datatype])
    extremes = np.array([info.min, info.max, info.tiny, info.smallest_subnormal, -0.0], dtype=NUMPY_DTYPES[datatype])
    back = to_array(json.loads(json.dumps(to_list(extremes))), datatype, (5,))
    assert back.tobytes() == extremes.tobytes()


def test_what_json_has_no_number_for_goes_by_name():
    assert to_list(np.array([math.nan, math.inf, -math.inf, 1.0])) == ["NaN", "Infinity", "-Infinity", 1.0]


@pytest.mark.parametrize("text", ["", "a\x00", "\x00", "\ufeff", "\U0001f3f4\u200d\u2620\ufe0f", "\u202e", "\r\n"])
def test_text_keeps_every_code_point(text):
    (back,) = to_array([text], "BYTES", (1,)).tolist()
    assert back == text


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "words"),
    [
        ([1, 2], "INT64", (3,), "2 elements for shape [3]"),
        ([[1, 2], [3]], "INT64", (2, 2), "3 elements"),
        ([True], "INT64", (1,), "True is not a INT64"),
        ([1], "BOOL", (1,), "1 is not a BOOL"),
        ([1.0], "INT64", (1,), "1.0 is not a INT64"),
        (["1"], "FP64", (1,), "'1' is not a FP64"),
        (["inf"], "FP32", (1,), "'inf' is not a FP32"),
        ([None], "FP64", (1,), "None is not a FP64"),
        ([1], "BYTES", (1,), "1 is not a BYTES"),
        ([b"a"], "BYTES", (1,), "is not a BYTES"),
        ([{}], "FP64", (1,), "{} is not a FP64"),
        ([1.0], "FLOAT", (1,), "unknown datatype 'FLOAT'"),
        ([1 << 2000], "FP64", (1,), "does not fit FP64"),
        ([1e39], "FP32", (1,), "does not fit FP32"),
        ([70000.0], "FP16", (1,), "does not fit FP16"),
    ],
    ids=str,
)
def test_what_is_not_of_the_type_is_refused(data, datatype, shape, words):
    with pytest.raises(ValueError, match="(?s).*") as caught:
        to_array(data, datatype, shape)
    assert words in str(caught.value)


def test_flat_and_nested_lists_are_the_same():
    flat, nested = [1, 2, 3, 4], [[1, 2], [3, 4]]
    assert (to_array(flat, "INT8", (2, 2)) == to_array(nested, "INT8", (2, 2))).all()


def test_a_list_nested_without_end_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        to_array(deep, "INT8", (1,))


@given(SHAPES)
@example(())
def test_open_dimensions_fit_any_size(shape):
    assert fits(shape, shape)
    assert fits(shape, (-1,) * len(shape))
    assert not fits(shape, (*shape, 1))
    assert not fits((2, *shape), (3, *shape))
