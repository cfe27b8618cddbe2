"""ONNX files become models; golden answers are others' wherever there are any."""

from __future__ import annotations

import numpy as np
import pytest

from seatrial.comparison import compare
from seatrial.loading import LoadingError, load_predictor
from seatrial.model import ModelDirectory
from seatrial.model_formats.onnx_nets import bundled_onnx_nets, find_bundled_net
from seatrial.model_source import build_model, find_model
from seatrial.model_writing import BuildError
from seatrial.owner import Owner

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'seatrial[models]' brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'seatrial[models]' brings it")


def build(path, out):
    from seatrial.model_formats.onnx_file import build_onnx_model

    return [ModelDirectory.open(directory) for directory in build_onnx_model(str(path), out)]


def write_net(path, element, *, node="Identity", shape=(None, 3), opset=17, out_shape=None):
    """Write a net of one node that takes and gives tensors of one type."""
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, element)
    graph = helper.make_graph(
        [helper.make_node(node, ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, out_shape or shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def assert_versions_differ(one, two):
    for first, second in zip(one.cases, two.cases, strict=True):
        assert not compare(first.outputs, second.outputs, one.manifest).right


def assert_answers_hold(directory):
    _, predict = load_predictor(directory.path)
    for case in directory.cases:
        outcome = compare(case.outputs, predict(case.inputs), directory.manifest)
        assert outcome.right, outcome.message


def test_a_bundled_net_goes_through_the_whole_pipeline_with_answers_of_others(tmp_path):
    with Owner.start("test-model-formats", tmp_path / "state") as owner:
        one, two = build_model(find_model("onnx:test_Conv2d"), tmp_path / "out", owner)
    data = find_bundled_net("test_Conv2d").parent / "test_data_set_0"
    theirs = onnx.numpy_helper.to_array(onnx.load_tensor(str(data / "output_0.pb")))
    assert one.cases[0].name == "test_data_set_0"
    assert (one.cases[0].outputs["3"] == theirs).all()
    assert one.manifest.golden == "1 by those who laid them beside the file, 20 by ONNX's reference evaluator"
    assert one.manifest.flavor == "onnx"
    assert one.manifest.inputs[0].shape == (2, 3, 7, 5)
    assert (one.path / "artifact" / "model.onnx").read_bytes() == find_bundled_net("test_Conv2d").read_bytes()
    assert_answers_hold(one)
    assert_answers_hold(two)
    assert_versions_differ(one, two)


def test_the_nets_that_the_onnx_package_ships_are_usable_or_have_a_reason():
    nets = bundled_onnx_nets()
    usable = {net.name for net in nets if not net.unusable}
    assert {"test_Conv2d", "test_Linear_no_bias", "test_Softmax", "test_sequence_model1"} <= usable
    reasons = {net.name: net.unusable for net in nets if net.unusable}
    assert "same answer" in reasons["light_resnet50"]
    assert "does not load" in reasons["test_AvgPool2d"]
    assert len(usable) >= 50


@pytest.mark.parametrize(
    "name",
    [
        "test_Linear_no_bias",
        "test_Softmin",
        "test_Embedding",
        "test_single_relu_model",
        "test_operator_symbolic_override_nested",
        "test_sequence_model1",
        "test_sequence_model6",
        "test_strnorm_model_nostopwords_nochangecase",
        "test_operator_chunk",
    ],
)
def test_bundled_nets_have_two_versions_that_differ_and_answer_rightly(tmp_path, name):
    one, two = build(find_bundled_net(name), tmp_path)
    assert_answers_hold(one)
    assert_answers_hold(two)
    assert_versions_differ(one, two)
    for directory in (one, two):
        for case in directory.cases:
            for other in directory.cases:
                assert compare(case.outputs, other.outputs, directory.manifest).right is (case is other)


@pytest.mark.parametrize(
    ("element", "datatype"),
    [
        ("FLOAT", "FP32"),
        ("DOUBLE", "FP64"),
        ("FLOAT16", "FP16"),
        ("INT64", "INT64"),
        ("INT32", "INT32"),
        ("INT8", "INT8"),
        ("UINT8", "UINT8"),
        ("UINT16", "UINT16"),
        ("UINT32", "UINT32"),
        ("UINT64", "UINT64"),
        ("BOOL", "BOOL"),
        ("STRING", "BYTES"),
    ],
)
def test_every_element_type_has_two_versions_that_differ(tmp_path, element, datatype):
    one, two = build(write_net(tmp_path / "my net.onnx", element), tmp_path / "out")
    assert one.name == "my-net"
    assert one.manifest.inputs[0].datatype == one.manifest.outputs[0].datatype == datatype
    assert one.manifest.inputs[0].shape == (-1, 3)
    assert one.manifest.batched
    assert_answers_hold(two)
    assert_versions_differ(one, two)


def test_version_2_of_a_net_that_answers_zero_is_not_zero(tmp_path):
    path = write_net(tmp_path / "zero.onnx", "FLOAT", node="Sign", shape=(1, 1))
    write_data(path, np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    one, two = build(path, tmp_path / "out")
    assert one.cases[0].outputs["y"].tolist() == [[0.0]]
    assert two.cases[0].outputs["y"].tolist() == [[-1.0]]


def write_data(path, given, answered):
    directory = path.parent / "test_data_set_0"
    directory.mkdir()
    for name, array in (("input_0.pb", given), ("output_0.pb", answered)):
        (directory / name).write_bytes(onnx.numpy_helper.from_array(array).SerializeToString())


def test_golden_answers_that_onnxruntime_does_not_give_are_refused_and_not_replaced(tmp_path):
    path = write_net(tmp_path / "net.onnx", "FLOAT", node="Neg", shape=(1, 3))
    write_data(path, np.ones((1, 3), np.float32), np.full((1, 3), -1.5, np.float32))
    with pytest.raises(BuildError, match="onnxruntime's answer to test_data_set_0 is not the one beside the file"):
        build(path, tmp_path / "out")


def test_an_open_dimension_takes_its_size_from_the_data_beside_the_file(tmp_path):
    path = write_net(tmp_path / "net.onnx", "FLOAT", node="Neg", shape=("batch", "width"))
    write_data(path, np.ones((2, 5), np.float32), np.full((2, 5), -1.0, np.float32))
    one, _ = build(path, tmp_path / "out")
    assert one.manifest.inputs[0].shape == one.manifest.outputs[0].shape == (-1, 5)


def test_an_open_dimension_of_unknown_size_is_refused(tmp_path):
    path = write_net(tmp_path / "net.onnx", "FLOAT", shape=("batch", "width"))
    with pytest.raises(BuildError, match=r"dimension 1 of 'x' is open \(width\)"):
        build(path, tmp_path / "out")


def test_an_element_type_without_a_v2_name_is_refused(tmp_path):
    path = write_net(tmp_path / "net.onnx", "BFLOAT16", opset=17)
    with pytest.raises(BuildError, match="BFLOAT16, which the V2 protocol cannot carry"):
        build(path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"not a net", b"\x00" * 100], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_net_is_refused(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(BuildError, match="is not an ONNX file"):
        build(tmp_path / "net.onnx", tmp_path / "out")


def test_a_net_that_onnxruntime_cannot_run_is_refused(tmp_path):
    path = write_net(tmp_path / "net.onnx", "FLOAT", node="NoSuchOperator")
    with pytest.raises(LoadingError, match="net 1 does not load"):
        build(path, tmp_path / "out")


def test_data_that_is_no_tensor_is_refused(tmp_path):
    path = write_net(tmp_path / "net.onnx", "FLOAT", shape=(1, 3))
    (tmp_path / "test_data_set_0").mkdir()
    (tmp_path / "test_data_set_0" / "input_0.pb").write_bytes(b"\xff\xff")
    with pytest.raises(BuildError, match=r"input_0\.pb is not a tensor"):
        build(path, tmp_path / "out")


def test_weights_in_another_file_come_along(tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    weights = np.arange(300, dtype=np.float32).reshape(3, 100)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 100])],
        [numpy_helper.from_array(weights, "w")],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(net, str(tmp_path / "net.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0)
    one, _ = build(tmp_path / "net.onnx", tmp_path / "out")
    (tmp_path / "weights.bin").unlink()
    assert_answers_hold(one)
    assert "onnxruntime" not in one.manifest.golden
