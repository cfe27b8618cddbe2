"""MLflow's scoring protocol, asked of every endpoint that speaks it."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.tensors import to_list
from seatrial.wires.json_exchange import nest, unnest
from seatrial.wires.mlflow import name_predictions
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.requesting import JSON, Reply, locate, post_json, request, require_wire, show_reply

pytestmark = pytest.mark.conformance
SOURCE = "mlflow.org/docs, Deploy MLflow Model as a Local Inference Server, Inference Server Specification"
_FORMATS = "mlflow.pyfunc.scoring_server: a JSON dictionary with exactly one of the input fields"
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?[.\w+-]*")


@check(
    "C11",
    "MLflow: health and version",
    profile="standard",
    sentence="GET /ping and GET /health are answered with status 200, and GET /version with the version of MLflow.",
    source=f"{SOURCE}, Endpoints",
    wires={"mlflow"},
)
def test_endpoints(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, _ = _open(seatrial_deployment)
    findings = Findings()
    for path in ("/ping", "/health"):
        reply = request(endpoint, "GET", locate(endpoint, path))
        findings.judge(path, "" if reply.status == 200 and not reply.trouble else f"\n{show_reply(endpoint, reply)}")
    reply = request(endpoint, "GET", locate(endpoint, "/version"))
    told = reply.body.decode("utf-8", "replace").strip().strip('"')
    seatrial_facts["mlflow_version"] = told
    right = reply.is_success and _VERSION.fullmatch(told)
    findings.judge("/version", "" if right else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


@check(
    "C12",
    "MLflow: one payload under the key of its format",
    profile="standard",
    sentence="A question under `inputs` or `instances`, of one dimension also under `dataframe_split` or `dataframe_records`, is "
    "answered under `predictions`; one with several of these keys, or none, is refused with a status of 4xx.",
    source=f"{SOURCE}, Accepted Input Formats; {_FORMATS}",
    wires={"mlflow"},
)
def test_formats(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    forms = _list_forms(model)
    findings = Findings()
    for key, payload in forms.items():
        findings.judge(key, _judge(endpoint, model, post_json(endpoint, _locate(endpoint), {key: payload})))
    inputs = forms["inputs"]
    wrong = {
        "two keys": {"inputs": inputs, "instances": inputs},
        "no key": {},
        "parameters alone": {"params": {}},
        "an unknown key": {"seatrial_inputs": inputs},
        "a list": [1],
    }
    for case, document in wrong.items():
        reply = post_json(endpoint, _locate(endpoint), document)
        findings.judge(case, "" if reply.is_refusal else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


@check(
    "C13",
    "MLflow: JSON and CSV are told by the content type",
    profile="standard",
    sentence="JSON is taken as application/json and, of one dimension, CSV as application/csv or text/csv; any other content "
    "type is refused with 415.",
    source=f"{SOURCE}, Accepted Input Formats; RFC 4180, 3; RFC 9110, 15.5.16",
    wires={"mlflow"},
)
def test_content_types(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()

    def post(content_type: str, body: bytes) -> Reply:
        return request(endpoint, "POST", _locate(endpoint), headers={"Content-Type": content_type}, body=body)

    body = make_body(endpoint, model)
    findings.judge(JSON, _judge(endpoint, model, post(JSON, body)))
    if _is_table(model):
        for content_type in ("text/csv", "application/csv"):
            findings.judge(content_type, _judge(endpoint, model, post(content_type, _write_csv(model))))
    for content_type in ("application/xml", "application/x-www-form-urlencoded", "application/octet-stream"):
        reply = post(content_type, body)
        right = reply.status == 415 and not reply.trouble
        findings.judge(content_type, "" if right else f"\n{show_reply(endpoint, reply)}")
    findings.conclude(seatrial_facts)


def _open(deployment: Deployment) -> tuple[Endpoint, ModelDirectory]:
    require_wire(deployment.endpoint, "mlflow")
    return deployment.endpoint, deployment.model


def _locate(endpoint: Endpoint) -> str:
    return locate(endpoint, "/invocations")


def _is_table(model: ModelDirectory) -> bool:
    """Whether its inputs are columns, by names: a table then says all that there is."""
    return all(spec.shape == (-1,) for spec in model.manifest.inputs) and len(model.manifest.inputs) > 1


def _list_rows(model: ModelDirectory) -> list[list[Any]]:
    return [list(row) for row in zip(*(to_list(array) for array in _list_columns(model).values()), strict=True)]


def _list_columns(model: ModelDirectory) -> dict[str, Any]:
    inputs = model.cases[0].inputs
    return {spec.name: inputs[spec.name] for spec in model.manifest.inputs}


def _list_forms(model: ModelDirectory) -> dict[str, Any]:
    """Return the first golden case by the key of its format."""
    nested = nest(model.cases[0].inputs)
    bare = next(iter(nested.values())) if len(nested) == 1 else nested
    if not _is_table(model):
        return {"inputs": bare, **({"instances": bare} if len(nested) == 1 else {})}
    columns, rows = list(_list_columns(model)), _list_rows(model)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return {
        "inputs": bare,
        "instances": records,
        "dataframe_split": {"columns": columns, "data": rows},
        "dataframe_records": records,
    }


def _write_csv(model: ModelDirectory) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([list(_list_columns(model)), *_list_rows(model)])
    return text.getvalue().encode()


def _judge(endpoint: Endpoint, model: ModelDirectory, reply: Reply) -> str:
    """Return what is wrong with the answer to the first golden case, or an empty string."""
    if not reply.is_success:
        return f"\n{show_reply(endpoint, reply)}"
    try:
        outputs = unnest(name_predictions(reply.document["predictions"], model.manifest), model.manifest)
    except (ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}\n{show_reply(endpoint, reply)}"
    found = compare(model.cases[0].outputs, outputs, model.manifest)
    return "" if found.right else f"{found.message}\n{show_reply(endpoint, reply)}"
