"""The Open Inference Protocol V2, asked of every endpoint that speaks it: paths, objects, errors.

The specification contradicts itself about the bodies of health ("ready" has the key "live"), and servers send none: health is
judged by its status, unless the body denies it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial_suites.conformance.openinference import (
    SOURCE,
    find_wrong_metadata,
    find_wrong_outputs,
    infer,
    judge_error,
    judge_object,
    judge_outputs,
    list_wrong_questions,
    make_question,
    name_model,
    stack_rows,
    write_question,
)
from seatrial_suites.conformance.requesting import JSON, Reply, locate, post_json, request, require_wire, show_reply

pytestmark = pytest.mark.conformance
UNKNOWN = "no-such-thing"
_ID = "seatrial-42"


@check(
    "C08a",
    "V2: health says ready, and of the model alone",
    profile="standard",
    sentence="GET v2/health/live, v2/health/ready and v2/models/MODEL/ready succeed while the model is ready, and the last fails "
    "for a model that there is not.",
    source=f"{SOURCE}, HTTP/REST and Health/Readiness/Liveness Probes",
    wires={"v2"},
)
def test_health(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    findings = Findings()
    paths = {"server live": locate(endpoint, "/v2/health/live"), "server ready": locate(endpoint, "/v2/health/ready")}
    for case, path in {**paths, "model ready": f"{name_model(endpoint, model)}/ready"}.items():
        reply = request(endpoint, "GET", path)
        findings.judge(case, "" if _says_yes(reply) else f"\n{show_reply(endpoint, reply)}")
    reply = request(endpoint, "GET", locate(endpoint, f"/v2/models/{UNKNOWN}/ready"))
    findings.judge("unknown model ready", f"\n{show_reply(endpoint, reply)}" if _says_yes(reply) else "")
    findings.conclude(seatrial_facts)


@check(
    "C08b",
    "V2: server metadata",
    profile="standard",
    sentence="GET v2 gives status 200 and a JSON object with the server's name, version and list of extensions.",
    source=f"{SOURCE}, Server Metadata Response JSON Object; RFC 9110, 8.3",
    wires={"v2"},
)
def test_server_metadata(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, _ = _open(seatrial_deployment)

    def find_wrong(about: dict[str, Any]) -> list[str]:
        wrong = [f"{key} is no string" for key in ("name", "version") if not isinstance(about.get(key), str)]
        return wrong if _is_list_of_strings(about.get("extensions")) else [*wrong, "extensions is no list of strings"]

    findings = Findings()
    findings.judge("v2", judge_object(endpoint, request(endpoint, "GET", locate(endpoint, "/v2")), find_wrong))
    findings.conclude(seatrial_facts)


@check(
    "C08c",
    "V2: model metadata fits what the model is asked with",
    profile="standard",
    sentence="GET v2/models/MODEL gives status 200 and a JSON object with name, platform, inputs and outputs, whose datatypes "
    "and shapes (-1 for any size) are those that inference takes and gives; versions, where there are any, are strings.",
    source=f"{SOURCE}, Model Metadata Response JSON Object; RFC 9110, 8.3",
    wires={"v2"},
)
def test_model_metadata(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)

    def find_wrong(about: dict[str, Any]) -> list[str]:
        wrong = [] if about.get("name") == (endpoint.name or model.name) else [f"name is {about.get('name')!r}"]
        wrong += [] if isinstance(about.get("platform"), str) else ["platform is no string"]
        wrong += [] if _is_list_of_strings(about.get("versions", [])) else ["versions is no list of strings"]
        wrong += find_wrong_metadata(about.get("inputs"), model.manifest.inputs, "inputs")
        return wrong + find_wrong_metadata(about.get("outputs"), model.manifest.outputs, "outputs")

    findings = Findings()
    reply = request(endpoint, "GET", name_model(endpoint, model))
    findings.judge("v2/models/MODEL", judge_object(endpoint, reply, find_wrong))
    findings.conclude(seatrial_facts)


@check(
    "C08d",
    "V2: an answer says what it is of",
    profile="standard",
    sentence="An answer has the model's name, the request's id, and the outputs asked for, or all when none are; a version that "
    "it names is one of the metadata's.",
    source=f"{SOURCE}, Inference Request JSON Object and Inference Response JSON Object; RFC 9110, 8.3",
    wires={"v2"},
)
def test_infer(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    versions = _read_versions(endpoint, model)
    question, wanted = make_question(model), model.cases[0].outputs

    def find_wrong(answer: dict[str, Any]) -> list[str]:
        wrong = find_wrong_outputs(answer, model, wanted)
        name, version = answer.get("model_name"), answer.get("model_version")
        wrong += [] if name == (endpoint.name or model.name) else [f"model_name is {name!r}"]
        if version is not None and (not isinstance(version, str) or (versions and version not in versions)):
            wrong.append(f"model_version is {version!r}, the metadata has {versions}")
        return wrong

    def find_id(answer: dict[str, Any]) -> list[str]:
        return [] if answer.get("id") == _ID else [f"id is {answer.get('id')!r}, asked with {_ID!r}"]

    findings = Findings()
    findings.judge("all outputs", judge_object(endpoint, infer(endpoint, model, question), find_wrong))
    reply = infer(endpoint, model, {**question, "id": _ID})
    findings.judge("id", judge_object(endpoint, reply, find_id))
    reply = infer(endpoint, model, {**question, "parameters": {}})
    findings.judge("no parameters", judge_object(endpoint, reply, find_wrong))
    chosen = [spec.name for spec in model.manifest.outputs][-1:]
    reply = infer(endpoint, model, {**question, "outputs": [{"name": name} for name in chosen]})
    findings.judge("one output chosen", judge_outputs(endpoint, model, reply, wanted, chosen=chosen))
    findings.conclude(seatrial_facts)


@check(
    "C08e",
    "V2: errors are told as errors",
    profile="standard",
    sentence="What cannot be answered has a status of 4xx and a JSON object whose `error` is a string: an unknown model or "
    "version, no JSON, and inputs, shapes, datatypes or outputs that are not the model's.",
    source=f"{SOURCE}, Model Metadata Response JSON Error Object and Inference Response JSON Error Object; RFC 9110, 15.5",
    wires={"v2"},
)
def test_errors(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    here, question = name_model(endpoint, model), make_question(model)
    elsewhere = locate(endpoint, f"/v2/models/{UNKNOWN}")
    findings = Findings()
    paths = {"an unknown model": elsewhere, "an unknown version": f"{here}/versions/{UNKNOWN}"}
    for case, path in paths.items():
        findings.judge(case, judge_error(endpoint, post_json(endpoint, f"{path}/infer", question)))
        findings.judge(f"metadata of {case}", judge_error(endpoint, request(endpoint, "GET", path)))
    reply = request(endpoint, "POST", f"{here}/infer", headers={"Content-Type": JSON}, body=b'{"inputs": [')
    findings.judge("no JSON", judge_error(endpoint, reply))
    for case, wrong in list_wrong_questions(question).items():
        findings.judge(case, judge_error(endpoint, infer(endpoint, model, wrong)))
    reply = infer(endpoint, model, question)
    findings.judge("the right question after all these", judge_outputs(endpoint, model, reply, model.cases[0].outputs))
    findings.conclude(seatrial_facts)


@check(
    "C08f",
    "V2: data is read in row-major order, flat or nested",
    profile="standard",
    sentence="Data of every datatype and shape is taken flat and nested alike, in row-major order, and answered with as many "
    "elements as the shape says, of the datatype that is declared.",
    source=f"{SOURCE}, Tensor Data and Tensor Data Types",
    wires={"v2"},
)
def test_data(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    questions = {"one case": (model.cases[0].inputs, model.cases[0].outputs)}
    if model.manifest.batched:
        questions["a batch of 3"] = stack_rows(model, 3)
    findings = Findings()
    for case, (inputs, wanted) in questions.items():
        for form in ("flat", "nested"):
            reply = infer(endpoint, model, write_question(model, inputs, nested=form == "nested"))
            findings.judge(f"{case}, {form}", judge_outputs(endpoint, model, reply, wanted))
    findings.conclude(seatrial_facts)


@check(
    "C08g",
    "V2: a version that the metadata names can be asked for",
    profile="standard",
    sentence="Every version in the model's metadata has metadata, readiness and inference at v2/models/MODEL/versions/VERSION, "
    "and an answer from there that names a version names that one.",
    source=f"{SOURCE}, HTTP/REST and Model Metadata Response JSON Object",
    wires={"v2"},
)
def test_versions(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = _open(seatrial_deployment)
    versions = _read_versions(endpoint, model)
    if not versions:
        pytest.skip("the model's metadata names no versions, which is optional")

    def expect(version: str, key: str) -> Callable[[dict[str, Any]], list[str]]:
        def find_wrong(answer: dict[str, Any]) -> list[str]:
            told = answer.get(key)
            right = told is None or (version in told if isinstance(told, list) else told == version)
            return [] if right else [f"{key} is {told!r}, asked of version {version!r}"]

        return find_wrong

    findings = Findings()
    for number, version in enumerate(versions, start=1):
        below = f"{name_model(endpoint, model)}/versions/{version}"
        reply = request(endpoint, "GET", below)
        findings.judge(f"metadata of version {number}", judge_object(endpoint, reply, expect(version, "versions")))
        reply = request(endpoint, "GET", f"{below}/ready")
        findings.judge(f"readiness of version {number}", "" if _says_yes(reply) else f"\n{show_reply(endpoint, reply)}")
        reply = infer(endpoint, model, make_question(model), version=version)
        findings.judge(
            f"inference of version {number}", judge_object(endpoint, reply, expect(version, "model_version"))
        )
    findings.conclude(seatrial_facts)


def _open(deployment: Deployment) -> tuple[Endpoint, ModelDirectory]:
    require_wire(deployment.endpoint, "v2")
    return deployment.endpoint, deployment.model


def _says_yes(reply: Reply) -> bool:
    told = reply.document
    denies = isinstance(told, dict) and (told.get("ready") is False or told.get("live") is False)
    return reply.is_success and not denies


def _is_list_of_strings(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, str) for each in given)


def _read_versions(endpoint: Endpoint, model: ModelDirectory) -> list[str]:
    about = request(endpoint, "GET", name_model(endpoint, model)).document
    versions = about.get("versions", []) if isinstance(about, dict) else []
    return versions if _is_list_of_strings(versions) else []
