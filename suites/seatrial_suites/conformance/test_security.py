"""Security: nobody reads the server's files or sends it to other addresses, and nobody comes in without credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from seatrial.checks import Findings, check
from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.evidence import show_received, show_sent
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import RawQuestion
from seatrial.wires.sagemaker import sign_request
from seatrial_suites.conformance.asking import PART_E
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.listening import MARK, Listener
from seatrial_suites.conformance.reaching import ATTACK, find_host
from seatrial_suites.conformance.refusing import OVER_HTTP, ask_raw, say_after
from seatrial_suites.conformance.requesting import JSON, Reply, locate, request, require_wire, show_reply

pytestmark = pytest.mark.conformance
_PASSWD = re.compile(rb"root:[^:\n]*:0:0:")
_UP = 12
_GRADIO = "/gradio_api"
# Paths on which the server may answer with nothing of its own files.
_PATHS = {
    "dots": "/" + "../" * _UP + "etc/passwd",
    "dots, escaped": "/" + "%2e%2e/" * _UP + "etc/passwd",
    "dots and slashes, escaped": "/" + "..%2f" * _UP + "etc%2fpasswd",
    "dots, escaped twice": "/" + "%252e%252e/" * _UP + "etc/passwd",
    "dots after a name": "/static/" + "../" * _UP + "etc/passwd",
    "backslashes": "/" + "..%5c" * _UP + "etc%5cpasswd",
    "two slashes": "//etc/passwd",
    "a file in the query": "/?file=/etc/passwd&path=/etc/passwd&url=file:///etc/passwd",
}
_GRADIO_PATHS = {
    "file=": f"{_GRADIO}/file=/etc/passwd",
    "file= with dots": f"{_GRADIO}/file=" + "../" * _UP + "etc/passwd",
    "file= with dots, escaped": f"{_GRADIO}/file=" + "%2e%2e%2f" * _UP + "etc%2fpasswd",
    "file= of another scheme": f"{_GRADIO}/file=file:///etc/passwd",
    "file without the prefix": "/file=/etc/passwd",
}


@check(
    "X03a",
    "paths and values lead nowhere else",
    level="SHOULD",
    profile="standard",
    sentence="No path, absolute target or value in a question makes the server show a file of its machine, or fetch from an "
    "address that it names.",
    source=f"{PART_E}, X03; OWASP Top 10, A01:2021 and A10:2021; CWE-22, CWE-918",
    wires=OVER_HTTP,
    covers={"X03"},
)
def test_paths_lead_nowhere(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    find_host(request, endpoint, ATTACK)
    # From a container or another machine a fetch of a loopback address does not arrive here, so there only files are told.
    seatrial_facts["fetches_would_arrive"] = endpoint.path == "loopback"
    with Listener() as listener:
        asked = [_get(endpoint, case, locate(endpoint, path)) for case, path in _PATHS.items()]
        addresses = (listener.name(number) for number in range(len(asked), len(asked) + 4))
        asked.append(_get(endpoint, "an absolute target", next(addresses)))
        address = next(addresses)
        asked.append(_get(endpoint, "an address in the query", locate(endpoint, f"/?url={address}&uri={address}")))
        body = json.loads(make_body(endpoint, model))
        asked.append(_ask(endpoint, model, "addresses for values", _fill(body, next(addresses))))
        asked.append(_ask(endpoint, model, "files for values", _fill(body, "file:///etc/passwd")))
        _conclude(asked, listener, seatrial_facts)
    _require_alive(endpoint, model)


@check(
    "X03b",
    "Gradio: files are those that the app allows",
    profile="standard",
    sentence="Files of the machine that the app has not allowed are not served, neither by `file=` nor as the path of file data, "
    "and addresses inside the machine's own network are not fetched.",
    source="gradio.app/guides/file-access, Security and File Access",
    wires=OVER_HTTP,
)
def test_gradio_files(
    request: pytest.FixtureRequest, seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]
) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    require_wire(endpoint, "gradio-run", "gradio-call")
    find_host(request, endpoint, ATTACK)
    # From a container or another machine a fetch of a loopback address does not arrive here, so there only files are told.
    seatrial_facts["fetches_would_arrive"] = endpoint.path == "loopback"
    with Listener() as listener:
        asked = [_get(endpoint, case, locate(endpoint, path)) for case, path in _GRADIO_PATHS.items()]
        addresses = (listener.name(number) for number in range(len(asked), len(asked) + 5))
        far = {f"{route} with an address": f"{_GRADIO}/{route}{next(addresses)}" for route in ("file=", "proxy=")}
        asked += [_get(endpoint, case, locate(endpoint, path)) for case, path in far.items()]
        address = next(addresses)
        asked.append(_ask(endpoint, model, "file data at an address", _make_file(path=address)))
        address = next(addresses)
        asked.append(_ask(endpoint, model, "file data with an address", _make_file(path="x", url=address)))
        asked.append(_ask(endpoint, model, "file data at a path", _make_file(path="/etc/passwd")))
        _conclude(asked, listener, seatrial_facts)
    _require_alive(endpoint, model)


@check(
    "X02",
    "nobody is answered without credentials",
    needs={"auth"},
    profile="standard",
    sentence="A question without credentials, or with wrong ones, is refused with 401 or 403 wherever questions are answered.",
    source=f"{PART_E}, X02; RFC 9110, 15.5.2 and 15.5.4; InvokeEndpoint in the SageMaker API Reference",
    wires=OVER_HTTP,
)
def test_credentials(seatrial_deployment: Deployment, seatrial_facts: dict[str, Any]) -> None:
    endpoint, model = seatrial_deployment.endpoint, seatrial_deployment.model
    body, nobody = make_body(endpoint, model), replace(endpoint, headers={}, credentials=None)
    findings = Findings()
    for path in _list_routes(endpoint, model):
        for who, headers in _list_strangers(endpoint, locate(endpoint, path), body).items():
            reply = request(nobody, "POST", locate(endpoint, path), headers=headers, body=body)
            is_kept_out = not reply.trouble and reply.status in {401, 403}
            case = f"{path.replace(endpoint.name or model.name, 'NAME')}, {who}"
            findings.judge(case, "" if is_kept_out else f"\n{show_reply(nobody, reply)}")
    findings.conclude(seatrial_facts)


Asked = tuple[str, bytes, Callable[[], str]]
"""A case, what came back to it, and how it is shown."""


def _get(endpoint: Endpoint, case: str, target: str) -> Asked:
    reply: Reply = request(endpoint, "GET", target)
    return case, reply.received + reply.body, lambda: show_reply(endpoint, reply)


def _ask(endpoint: Endpoint, model: ModelDirectory, case: str, document: Any) -> Asked:
    with Client(endpoint, model.manifest) as client:
        ask_raw(client, RawQuestion(body=json.dumps(document).encode()))
        sent, received = client.sent, client.received
    return case, received, lambda: f"  sent: {show_sent(endpoint, sent)}\n  came back: {show_received(received)}"


def _conclude(asked: Iterable[Asked], listener: Listener, facts: dict[str, Any]) -> None:
    """Judge when all were asked, for a fetch may come late."""
    listener.wait()
    findings = Findings()
    for number, (case, received, show) in enumerate(asked):
        fetched = listener.find(number)
        what = f"it fetched `{fetched}`" if fetched else ""
        if _PASSWD.search(received) or MARK in received:
            what = what or "it shows what is there"
        findings.judge(case, f"{what}\n{show()}" if what else "")
    findings.conclude(facts)


def _require_alive(endpoint: Endpoint, model: ModelDirectory) -> None:
    with Client(endpoint, model.manifest) as client:
        after = say_after(client, model)
    assert not after, f"after all these {after}"


def _fill(document: Any, value: str) -> Any:
    """Return a question with the value for each element; what the wire itself says stays."""
    if isinstance(document, dict):
        kept = {"name", "shape", "datatype"}
        return {key: each if key in kept else _fill(each, value) for key, each in document.items()}
    return [_fill(each, value) for each in document] if isinstance(document, list) else value


def _make_file(**fields: str) -> dict[str, Any]:
    return {"data": [{**fields, "orig_name": "x", "meta": {"_type": "gradio.FileData"}}]}


def _list_routes(endpoint: Endpoint, model: ModelDirectory) -> list[str]:
    """Return the paths on which a question may be answered."""
    name = endpoint.name or model.name
    if endpoint.wire == "sagemaker":
        runtime = f"/endpoints/{name}/"
        routes = ["invocations", "invocations-response-stream", "async-invocations"]
        return [runtime + each for each in routes] if endpoint.credentials else ["/invocations"]
    return {
        "v2": [f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/{model.version}/infer"],
        "mlflow": ["/invocations"],
    }.get(endpoint.wire, [f"{_GRADIO}/{route}/{name}" for route in ("run", "call", "call/v2")])


def _list_strangers(endpoint: Endpoint, target: str, body: bytes) -> dict[str, dict[str, str]]:
    """Return headers by who sends them."""
    plain = {"Content-Type": JSON}
    strangers = {"without credentials": plain}
    if endpoint.headers:
        strangers["with wrong ones"] = {**plain, **dict.fromkeys(endpoint.headers, "seatrial-stranger")}
    keys = endpoint.credentials
    if keys is None:
        return strangers
    url = endpoint.address + target
    signed = {
        "with another secret": (replace(keys, secret_key="seatrial-stranger"), body),  # noqa: S106 - no secret of anybody's
        "with an unknown key": (replace(keys, access_key="AKIASEATRIALSTRANGER"), body),
        "signed for another body": (keys, body + b" "),
    }
    return strangers | {
        who: dict(sign_request(credentials, url, plain, text)) for who, (credentials, text) in signed.items()
    }
