"""The forms in which a wire declares that it can be asked, and its parameters."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import orjson

from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.wire import RawQuestion
from seatrial.wires.json_exchange import nest
from seatrial_suites.conformance.broken import make_body

_EITHER = frozenset({"answer", "refuse"})
_ANSWER = frozenset({"answer"})
_MLMODEL = Path("artifact") / "MLmodel"


def list_forms(endpoint: Endpoint, model: ModelDirectory) -> dict[str, RawQuestion]:
    """Return the first golden case in every form that the wire declares, by name."""
    forms = {"application/json": RawQuestion(body=make_body(endpoint, model))}
    if endpoint.wire == "mlflow":
        forms |= _list_mlflow_forms(model)
    return forms


def list_parameters(endpoint: Endpoint, model: ModelDirectory) -> dict[str, tuple[bytes, frozenset[str]]]:
    """Return the first golden case with parameters, and what may become of it; nothing where the wire has no parameters."""
    if endpoint.wire != "mlflow":
        return {}
    body = orjson.loads(make_body(endpoint, model))

    def add(params: Any) -> bytes:
        return orjson.dumps({**body, "params": params})

    return {
        "no parameters": (orjson.dumps(body), _ANSWER),
        "an empty set of parameters": (add({}), _ANSWER),
        "a parameter that is not the model's": (add({"no_such_parameter": 1}), _EITHER),
        "parameters of every JSON type": (add({"a": None, "b": [1, "x"], "c": {"d": True}, "e": 0.5}), _EITHER),
        "a list for parameters": (add([1]), _EITHER),
        "a string for parameters": (add("temperature"), _EITHER),
    }


def _list_mlflow_forms(model: ModelDirectory) -> dict[str, RawQuestion]:
    nested = nest(model.cases[0].inputs)
    named = len(nested) > 1
    columns = list(nested)
    rows = [list(row) for row in zip(*nested.values(), strict=True)]
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    forms = {"instances": {"instances": records if named else _unname(nested)}}
    is_table = model.manifest.batched and all(len(spec.shape) == 1 for spec in model.manifest.inputs)
    if is_table:
        forms |= {
            "dataframe_split": {"dataframe_split": {"columns": columns, "data": rows}},
            "dataframe_records": {"dataframe_records": records},
        }
    questions = {name: RawQuestion(body=orjson.dumps(body)) for name, body in forms.items()}
    if is_table and _has_columns(model):
        questions["text/csv"] = RawQuestion(body=_write_csv(columns, rows), content_type="text/csv")
    return questions


def _unname(nested: dict[str, Any]) -> Any:
    (rows,) = nested.values()
    return rows


def _has_columns(model: ModelDirectory) -> bool:
    """Whether MLflow was told columns: of tensors, which is what every model is logged with here, it reads no CSV."""
    path = model.path / _MLMODEL
    found = re.search(r"^\s+inputs: '(.*)'$", path.read_text(), re.MULTILINE) if path.is_file() else None
    return found is not None and "tensor-spec" not in found[1]


def _write_csv(columns: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
