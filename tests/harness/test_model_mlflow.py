"""MLflow model directories become models: columns or tensors by signature, cases by input example."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from seatrial.errors import ModelError
from seatrial.model_source import build_model, find_model
from seatrial.model_writing import BuildError
from seatrial.owner import Owner

pytestmark = [pytest.mark.mlflow, pytest.mark.filterwarnings("ignore:.*type hints")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Models as MLflow saves them: columns, text columns, a tensor, and without signature or example."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed; pip install 'seatrial[mlflow]' brings it")
    root = tmp_path_factory.mktemp("mlflow")
    import warnings

    with warnings.catch_warnings():
        # MLflow warns of its own type hints when it is imported.
        warnings.simplefilter("ignore")
        _save_models(mlflow, root)
    return root


def _save_models(mlflow, root):
    import pandas as pd

    class Shout(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            import pandas as pd

            words = model_input["word"]
            return pd.DataFrame({"shout": words.str.upper(), "twice": model_input["n"] * 2})

    class Double(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input * 2

    frame = pd.DataFrame({"word": ["sea", "été", "船"], "n": np.array([1, 2, 1 << 60], dtype=np.int64)})
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    infer = mlflow.models.infer_signature
    save = mlflow.pyfunc.save_model
    options = {"pip_requirements": ["mlflow", "pandas"]}
    columns = infer(frame, Shout().predict(None, frame))
    save(root / "shout", python_model=Shout(), signature=columns, input_example=frame, **options)
    save(root / "double", python_model=Double(), signature=infer(array, array), input_example=array, **options)
    save(root / "no-example", python_model=Shout(), signature=columns, **options)
    save(root / "no-signature", python_model=Double(), **options)


@pytest.fixture
def build_saved(saved, tmp_path):
    def build_saved(name):
        with Owner.start(f"test-mlflow-{name}", tmp_path / "state") as owner:
            return build_model(find_model(str(saved / name)), tmp_path / "out", owner)

    return build_saved


def test_a_column_signature_becomes_a_tensor_a_column_and_each_row_a_case(build_saved):
    (model,) = build_saved("shout")
    assert {spec.name: spec.datatype for spec in model.manifest.inputs} == {"word": "BYTES", "n": "INT64"}
    assert all(spec.shape == (-1,) for spec in (*model.manifest.inputs, *model.manifest.outputs))
    answers = [(case.outputs["shout"].tolist(), case.outputs["twice"].tolist()) for case in model.cases]
    assert answers == [(["SEA"], [2]), (["ÉTÉ"], [4]), (["船"], [1 << 61])]
    assert "mlflow" in model.manifest.requirements


def test_a_tensor_signature_becomes_a_tensor(build_saved):
    (model,) = build_saved("double")
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.manifest.inputs] == [("input", "FP32", (-1, 3))]
    assert [case.outputs["output"].tolist() for case in model.cases] == [[[0.0, 2.0, 4.0]], [[6.0, 8.0, 10.0]]]


def refuse(directory, out):
    from seatrial.model_formats.mlflow_directory import build_mlflow_model

    with pytest.raises(BuildError) as caught:
        build_mlflow_model(str(directory), out)
    return str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("no-example", "no input example"), ("no-signature", "no signature")])
def test_what_cannot_be_asked_is_refused_with_the_way_to_log_it(saved, tmp_path, name, words):
    message = refuse(saved / name, tmp_path)
    assert words in message
    assert "infer_signature" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("python_version: 3", "python_version: 2", "was logged with Python 2."),
        ("python_function:", "other_flavor:", "no python_function flavor"),
        ("flavors:", "flavors: [", "is not what MLflow writes"),
        ("double", "datetime", "is of type datetime; taken are boolean"),
    ],
)
def test_an_mlflow_directory_that_is_none_is_refused(saved, tmp_path, old, new, words):
    broken = Path(shutil.copytree(saved / "shout", tmp_path / "broken"))
    description = (broken / "MLmodel").read_text().replace("long", "double")
    assert old in description
    (broken / "MLmodel").write_text(description.replace(old, new))
    assert words in refuse(broken, tmp_path / "out")


def test_an_mlflow_directory_whose_artifact_is_missing_is_refused_in_a_sentence(saved, tmp_path):
    broken = Path(shutil.copytree(saved / "double", tmp_path / "broken"))
    (broken / "python_model.pkl").unlink()
    with Owner.start("test-mlflow-broken", tmp_path / "state") as owner, pytest.raises(ModelError) as caught:
        build_model(find_model(str(broken)), tmp_path / "out", owner)
    assert "model broken 1 does not load" in str(caught.value)
