"""Runs an MLflow model directory through `mlflow.pyfunc`. Travels with the model as its code: mlflow and numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

UNNAMED = {"inputs": "input", "outputs": "output"}


def name_specs(schema: Any, side: str) -> list[str]:
    """Return the tensor names of a signature's side: its own, else `input` or `output`, numbered when there are several."""
    if all(spec.name is not None for spec in schema):
        return [str(spec.name) for spec in schema]
    base = UNNAMED[side]
    return [base] if len(schema.inputs) == 1 else [f"{base}_{index}" for index in range(len(schema.inputs))]


class MlflowModel:
    """What `seatrial.loading` loads: a model that MLflow saved."""

    @staticmethod
    def load(directory: Path) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """Return `predict`: arrays by the signature's input names to arrays by its output names."""
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(directory))
        signature = model.metadata.signature

        def predict(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
            return split(signature.outputs, model.predict(join(signature.inputs, tensors)))

        return predict


def join(schema: Any, tensors: Mapping[str, Any]) -> Any:
    """Return arrays as the model takes them: a data frame of columns, an array, or arrays by name."""
    if not schema.is_tensor_spec():
        import pandas as pd

        names = name_specs(schema, "inputs")
        return pd.DataFrame(
            {
                spec.name if spec.name is not None else names.index(name): tensors[name]
                for spec, name in zip(schema, names, strict=True)
            }
        )
    if schema.inputs[0].name is None:
        return tensors[UNNAMED["inputs"]]
    return dict(tensors)


def split(schema: Any, answer: Any) -> dict[str, Any]:
    """Return what the model answered as arrays by name: data frame, series, array, list or mapping."""
    import numpy as np

    names = name_specs(schema, "outputs")
    if hasattr(answer, "columns"):
        columns = [answer[name] if name in answer else answer.iloc[:, at] for at, name in enumerate(names)]
    elif isinstance(answer, Mapping):
        columns = [answer[name] for name in names]
    elif len(names) == 1:
        columns = [answer]
    else:
        columns = list(np.asarray(answer).T)
    arrays = {}
    for spec, name, column in zip(schema, names, columns, strict=True):
        dtype = spec.type if schema.is_tensor_spec() else spec.type.to_numpy()
        array = np.array(column, dtype=object) if dtype.kind in "OU" else np.asarray(column)
        # A model that answers one column gives it as (n, 1) or (n,), as it likes.
        arrays[name] = array if schema.is_tensor_spec() else array.reshape(-1)
    return arrays


model = MlflowModel
