"""Every way to name a model builds it; every wrong one is refused in a sentence with exit code 2."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from seatrial.errors import ExitCode, ModelError
from seatrial.model_source import build_model, find_model, registered_models
from seatrial.owner import Owner

ROOT = Path(__file__).parents[2]
GOOD = """
from seatrial import Cases, PythonModel, Tensor
def build(directory, version):
    (directory / "factor").write_text(version)
def load(directory):
    factor = int((directory / "factor").read_text())
    return lambda tensors: {"y": tensors["x"] * factor}
def inputs():
    import numpy as np
    return [{"x": np.array([value], dtype=np.int64)} for value in (1, 2, 3)]
model = PythonModel(name="mine", inputs={"x": Tensor("INT64", (-1,))}, outputs={"y": Tensor("INT64", (-1,))},
                    build=build, load=load, cases=Cases(inputs), versions=("1", "2"))
"""


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    with Owner.start(f"test-model-source-{os.getpid()}", tmp_path_factory.mktemp("state")) as owner:
        yield owner


@pytest.fixture
def build(owner, tmp_path, monkeypatch):
    """Writes `my_model.py` and builds what is named, from a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def build(source=GOOD, name="my_model:model", **options):
        Path("my_model.py").write_text(textwrap.dedent(source))
        return build_model(find_model(name), tmp_path / "out", owner, **options)

    return build


def refuse(build, source, *words, **options):
    with pytest.raises(ModelError) as caught:
        build(source, **options)
    assert caught.value.exit_code is ExitCode.USAGE
    for word in words:
        assert word in str(caught.value)
    assert "Traceback" not in str(caught.value).splitlines()[0]
    return str(caught.value)


def test_a_module_and_attribute_builds_every_version(build):
    one, two = build()
    assert [case.outputs["y"].tolist() for case in one.cases] == [[1], [2], [3]]
    assert [case.outputs["y"].tolist() for case in two.cases] == [[2], [4], [6]]
    assert (one.name, one.version, two.version) == ("mine", "1", "2")


def test_a_model_directory_is_taken_as_it_is(build, owner, tmp_path):
    one, _ = build()
    (again,) = build_model(find_model(str(one.path)), tmp_path / "unused", owner)
    assert again.digest == one.digest


def test_the_example_carries_its_package(owner, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "examples" / "own-model")
    one, two = build_model(find_model("my_pkg.model:model"), tmp_path / "out", owner)
    assert (one.path / "code" / "my_pkg" / "harmonics.py").is_file()
    assert len(one.cases) == 30
    assert two.cases[0].outputs["height_m"] == pytest.approx(2 * one.cases[0].outputs["height_m"])


def test_a_model_in_a_package_itself_carries_the_package(build, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").write_text(GOOD.replace("def load(", "from .helper import FACTOR\ndef load("))
    (tmp_path / "whole" / "helper.py").write_text("FACTOR = 1\n")
    one, _ = build(name="whole:model")
    assert (one.path / "code" / "whole" / "helper.py").is_file()


def test_code_that_is_not_carried_along_is_missed_at_once(build, tmp_path):
    (tmp_path / "helper.py").write_text("FACTOR = 1\n")
    source = GOOD.replace("def load(directory):", "def load(directory):\n    import helper")
    refuse(build, source, "helper is not carried along", "package=True")


def test_a_class_pickled_by_the_module_is_found_where_it_is_deployed(build):
    source = """
    import pickle
    from seatrial import Cases, PythonModel, Tensor
    class Net:
        def __call__(self, tensors):
            return {"y": tensors["x"]}
    def build(directory, version):
        (directory / "net").write_bytes(pickle.dumps(Net()))
    def load(directory):
        return pickle.loads((directory / "net").read_bytes())
    def inputs():
        import numpy as np
        return [{"x": np.array([1.0])}]
    model = PythonModel(name="mine", inputs={"x": Tensor("FP64", (-1,))}, outputs={"y": Tensor("FP64", (-1,))},
                        build=build, load=load, cases=Cases(inputs), versions=("1", "2"))
    """
    one, two = build(source)
    assert one.cases[0].outputs["y"] == two.cases[0].outputs["y"] == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("def build", "import no_such_module\ndef build"), ["my_model does not import", "no_such_module"]),
        (("def build", "1 / 0\ndef build"), ["does not import", "ZeroDivisionError"]),
        (("def build", "import sys; sys.exit(3)\ndef build"), ["does not import", "sys.exit"]),
        (("model = PythonModel(", "modle = dict("), ["my_model has no 'model'"]),
        (("model = PythonModel(", "modell = PythonModel("), ["has no 'model'", "Did you mean 'modell'?"]),
        (("model = PythonModel(", "model = dict("), ["is a dict, not a seatrial.PythonModel"]),
        (('(directory / "factor").write_text(version)', "raise OSError('no data')"), ["building version 1", "no data"]),
        (("factor = int(", "raise RuntimeError('no weights')\n    factor = int("), ["does not load", "no weights"]),
        (('tensors["x"] * factor', "1 / 0"), ["case-001: predict raised ZeroDivisionError"]),
        (('{"y": tensors', '{"z": tensors'), ["case-001: output has tensors ['z']", "['y']"]),
        (('{"y": tensors["x"] * factor}', "None"), ["NoneType, not a mapping"]),
        (('tensors["x"] * factor', 'tensors["x"] * 0.5'), ["output y is float64 [1]", "INT64 [-1]"]),
        (('tensors["x"] * factor', 'tensors["x"][:, None]'), ["output y is int64 [1, 1]"]),
        (('outputs={"y": Tensor("INT64"', 'outputs={"y": Tensor("LONG"'), ["datatype 'LONG'", "INT64"]),
        (("for value in (1, 2, 3)", "for value in ()"), ["no golden cases"]),
        (("    import numpy as np\n    return [", "    1 / 0\n    return ["), ["making its cases failed"]),
        (('{"x": np.array([value], dtype=np.int64)}', '{"z": 1}'), ["case-001: input has tensors ['z']"]),
        (("dtype=np.int64", "dtype=np.float32"), ["case-001: input x is float32"]),
        (('name="mine"', 'name="not a name"'), ["not a name"]),
        (('versions=("1", "2")', "versions=()"), ["no versions"]),
        (("def build(", "import os; os._exit(7)\ndef build("), ["ended the process that builds it, with code 7"]),
        (("def build(", "import os; os.kill(os.getpid(), 9)\ndef build("), ["SIGKILL", "memory"]),
        (("def build(", "import ctypes; ctypes.string_at(0)\ndef build("), ["SIGSEGV"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_bad_model_is_refused_in_a_sentence(build, change, words):
    old, new = change
    assert old in GOOD
    refuse(build, GOOD.replace(old, new), *words)


def test_nan_is_no_golden_answer(build):
    source = GOOD.replace('tensors["x"] * factor', 'tensors["x"] * float("nan")').replace(
        '"y": Tensor("INT64"', '"y": Tensor("FP64"'
    )
    refuse(build, source, "output y has NaN or infinite elements")


def test_text_that_utf8_cannot_carry_is_no_golden_answer(build):
    source = GOOD.replace('tensors["x"] * factor', '["\\ud800"]').replace('"y": Tensor("INT64"', '"y": Tensor("BYTES"')
    refuse(build, source, "output y has an element that UTF-8 cannot carry")


def test_bytes_are_not_taken_for_text(build):
    source = GOOD.replace('tensors["x"] * factor', '[b"a"]').replace('"y": Tensor("INT64"', '"y": Tensor("BYTES"')
    refuse(build, source, "element of type bytes")


def test_a_model_that_prints_does_not_disturb_the_protocol(build):
    source = GOOD.replace(
        "def build(directory, version):",
        'import os\nprint(\'{"directories": []}\')\ndef build(directory, version):\n    os.write(1, b\'{"error": "C"}\\n\')\n'
        "    os.system('echo from a shell')",
    )
    one, _ = build(source)
    log = (one.path.parent / "build.log").read_text()
    assert "from a shell" in log
    assert '{"error": "C"}' in log


def test_what_it_printed_stands_under_the_message(build):
    message = refuse(
        build, GOOD.replace("factor = int(", "print('weights are in /nowhere')\n    1 / 0\n    factor = int(")
    )
    assert "  | weights are in /nowhere" in message


def test_a_model_that_hangs_is_ended_with_all_it_started(build):
    source = GOOD.replace(
        "def build(directory, version):",
        "def build(directory, version):\n    import subprocess, time\n"
        "    subprocess.Popen(['sleep', '61.7'])\n    time.sleep(60)",
    )
    started_s = time.monotonic()
    refuse(build, source, "took more than 3 s", timeout_s=3.0)
    assert time.monotonic() - started_s < 15
    assert wait_gone("61.7")


def test_what_a_model_leaves_running_neither_holds_the_build_nor_stays(build):
    source = GOOD.replace(
        "def build(directory, version):",
        "def build(directory, version):\n    import subprocess\n"
        "    subprocess.Popen(['sleep', '62.7'], start_new_session=True)",
    )
    started_s = time.monotonic()
    build(source)
    assert time.monotonic() - started_s < 30
    assert wait_gone("62.7")


def wait_gone(argument):
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        if not any(argument in (process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digit", ["there is no model 'digit'", "Did you mean 'digits'?", "Fix: "]),
        ("no.onnx", ["there is no ONNX file no.onnx"]),
        ("onnx:test_Conv9d", ["there is no ONNX file test_Conv9d"]),
        (".", ["holds neither model.json nor MLmodel"]),
        ("no_such_package.module:model", ["no_such_package"]),
        (":model", ["there is no model ':model'"]),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_right_one(build, name, words):
    with pytest.raises(ModelError) as caught:
        build(name=name)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_naming_a_model_runs_none_of_its_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loud.py").write_text("raise SystemExit('ran')")
    source = find_model("loud:model")
    assert source.kind == "python"
    assert "loud:model" in source.origin


def test_the_bundled_models_are_registered():
    assert {"digits", "digits-torch", "text", "nonce"} <= set(registered_models())
