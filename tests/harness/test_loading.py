"""What runs in containers: it loads the carried code, or refuses in one sentence."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.loading import LoadingError, load_predictor


def write(directory, code, *, entry="net:model", python=None, files=()):
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    (directory / "artifact").mkdir(parents=True)
    (directory / "code").mkdir()
    (directory / "model.json").write_text(
        json.dumps({"name": "net", "version": "1", "entry": entry, "python": python or here})
    )
    for name, text in {"net.py": code, **dict(files)}.items():
        (directory / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / "code" / name).write_text(text)
    return directory


def answer(value):
    return f"class model:\n    @staticmethod\n    def load(directory):\n        return lambda tensors: {value}\n"


def test_the_function_that_predicts_is_returned_with_the_manifest(tmp_path):
    manifest, predict = load_predictor(write(tmp_path / "m", answer("dict(tensors, y=1)")))
    assert manifest["name"] == "net"
    assert predict({"x": 0}) == {"x": 0, "y": 1}


def test_a_model_for_another_python_is_refused_in_one_sentence(tmp_path):
    directory = write(tmp_path / "m", "raise SystemExit('its code ran')", python="3.8")
    with pytest.raises(LoadingError) as caught:
        load_predictor(directory)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert str(caught.value) == f"model net 1 was built for Python 3.8, this is Python {here}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_module", "net 1 does not load: ModuleNotFoundError"),
        ("modle = 1", "has no attribute 'model'"),
        ("class model:\n    load = None", "does not load: TypeError"),
        (
            "class model:\n    @staticmethod\n    def load(directory):\n        raise ValueError('bad weights')",
            "bad weights",
        ),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_what_does_not_load_is_refused_in_one_sentence(tmp_path, code, words):
    with pytest.raises(LoadingError, match="net 1 does not load") as caught:
        load_predictor(write(tmp_path / "m", code))
    assert words in str(caught.value)


def test_two_versions_in_one_process_have_each_its_own_code(tmp_path):
    _, one = load_predictor(write(tmp_path / "1", answer(1)))
    _, two = load_predictor(write(tmp_path / "2", answer(2)))
    assert (one({}), two({})) == (1, 2)


def test_two_versions_of_a_package_have_each_its_own_code(tmp_path):
    def package(value):
        return {
            "netpkg/__init__.py": "",
            "netpkg/part.py": f"VALUE = {value}\n",
            "netpkg/main.py": f"from netpkg.part import VALUE\n{answer('VALUE')}",
        }

    predictors = [
        load_predictor(write(tmp_path / str(value), "", entry="netpkg.main:model", files=package(value).items()))[1]
        for value in (1, 2)
    ]
    assert [predict({}) for predict in predictors] == [1, 2]


def test_a_module_named_like_one_of_the_standard_library_does_not_take_its_place(tmp_path):
    directory = write(tmp_path / "m", "", entry="json:model", files={"json.py": answer(3)}.items())
    assert load_predictor(directory)[1]({}) == 3
    assert json.loads("1") == 1
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is not the file its manifest was written for"),
        (Path.unlink, "it lacks artifact/weights, which its manifest names"),
    ],
    ids=["cut off", "missing"],
)
def test_a_damaged_file_is_refused_though_it_would_load(tmp_path, spoil, words):
    directory = write(tmp_path / "m", answer(1))
    weights = directory / "artifact" / "weights"
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(b"0123")
    manifest = json.loads((directory / "model.json").read_text())
    manifest["files"] = {"artifact/weights": hashlib.sha256(b"0123").hexdigest(), "cases.json": "not shipped"}
    (directory / "model.json").write_text(json.dumps(manifest))
    assert load_predictor(directory)[1]({}) == 1

    spoil(weights)
    with pytest.raises(LoadingError, match="net 1 does not load") as caught:
        load_predictor(directory)
    assert words in str(caught.value)


def test_it_needs_nothing_but_the_standard_library(tmp_path):
    directory = write(tmp_path / "m", answer(5))
    harness = Path(__file__).parents[2] / "harness"
    program = (
        f"import sys; sys.path.insert(0, {str(harness)!r})\nfrom pathlib import Path\n"
        "from seatrial.loading import load_predictor\n"
        f"print(load_predictor(Path({str(directory)!r}))[1]({{}}))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("5", "")
