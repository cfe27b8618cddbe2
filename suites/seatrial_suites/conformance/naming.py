"""What APIs document for names that are taken, in use or gone, and how what was said is held against it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.client import Client
from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial.naming import Said
from seatrial.wire import Answer
from seatrial_suites.conformance import lives
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.refusing import ask_whole, say_after
from seatrial_suites.conformance.requesting import JSON, locate, request, show_reply

_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """A refusal: status, the API's name for it, and how its sentence begins; empty for what no document says.

    Without a status it is any of 4xx that says why.
    """

    status: int = 0
    code: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an API documents.

    Args:
        taken: when something is to be made under a name that is taken.
        absent: when something is to be deleted that is not there.
        in_use: when something is to be deleted that is in use; None where no such refusal is documented.
        deletes_used: it may be deleted all the same, and what uses it answers on.
    """

    taken: Documented
    absent: Documented
    in_use: Documented | None = None
    deletes_used: bool = True


OTHERS = Rules(taken=Documented(), absent=Documented(), in_use=Documented())
"""Of an API that is not listed."""
RULES: Mapping[str, Rules] = {
    # The API reference names no error of these operations but a limit's. Codes and words: Amazon's own operator (github.com/aws/
    # amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go) for what is not there; for what is, users' reports
    # (aws/sagemaker-python-sdk#101, hashicorp/terraform-provider-aws#40080 with the status).
    # API_DeleteEndpointConfig: one in use must not be deleted, for one "may lose visibility into the instance type"; but it "does
    # not delete endpoints created using the configuration". API_DeleteModel: it "deletes only the model entry"; that an endpoint
    # serves on without it is inferred.
    "sagemaker": Rules(
        taken=Documented(status=400, code="ValidationException", words="Cannot create already existing"),
        absent=Documented(status=400, code="ValidationException", words="Could not find"),
    ),
    # Kubernetes API Conventions, HTTP Status codes; k8s.io/apimachinery, StatusReason.
    "kubernetes": Rules(
        taken=Documented(status=409, code="AlreadyExists"), absent=Documented(status=404, code="NotFound")
    ),
    # Docker Engine API, ContainerCreate and ContainerDelete.
    "docker": Rules(
        taken=Documented(status=409),
        absent=Documented(status=404),
        in_use=Documented(status=409),
        deletes_used=False,
    ),
}
_ENDPOINT_GONE = "API_runtime_InvokeEndpoint, Errors: ValidationError with status 400"


def say_done(said: Said) -> str:
    """Return what is wrong where it was to be done, or an empty string."""
    return "" if said.is_done else f"it was refused: {show(said)}"


def say_refused(said: Said, documented: Documented) -> str:
    """Return what is wrong where it was to be refused, or an empty string."""
    if said.is_done:
        return "it was done"
    if not documented.status:
        is_told = 400 <= said.status < 500 and bool(said.message)
        return "" if is_told else f"a status of 4xx and a reason were asked for: {show(said)}"
    wanted = f"{documented.status} {documented.code} {documented.words}".strip()
    is_it = said.status == documented.status and said.message.startswith(documented.words)
    return "" if is_it and documented.code in {"", said.code} else f"{wanted!r} is documented: {show(said)}"


def say_of_use(said: Said, rules: Rules) -> str:
    """Return what is wrong with what was said to a deletion in use, or an empty string. What was done shows in what uses it."""
    if said.is_done and rules.deletes_used:
        return ""
    return say_done(said) if rules.in_use is None else say_refused(said, rules.in_use)


def show(said: Said, *, whole: bool = True) -> str:
    """Return what was said in a line, with or without its sentence."""
    parts = [str(said.status), said.code, said.message if whole else ""]
    return "done" if said.is_done else " ".join(filter(None, parts))


def say_wrong(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Ask a golden case; return what is wrong with its answer, or an empty string."""
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        return say_after(client, model)


def say_there(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return what is wrong where nothing is to answer: an answer, or not the refusal that is documented.

    What forwards to it learns a moment later that it is gone.
    """
    deadline_s = time.monotonic() + lives.SILENCE_WAIT_S
    with Client(endpoint, model.manifest, keep_alive=False) as client:
        while isinstance(ask_whole(client, model.cases[0].inputs), Answer):
            if time.monotonic() > deadline_s:
                return f"it answers, {lives.SILENCE_WAIT_S:g} s later too"
            time.sleep(_POLL_S)
    return _say_of_runtime(endpoint, model) if endpoint.wire == "sagemaker" and endpoint.credentials else ""


def _say_of_runtime(endpoint: Endpoint, model: ModelDirectory) -> str:
    """Return what is wrong with what InvokeEndpoint says of an endpoint that there is not; the words are users' reports."""
    target = locate(endpoint, f"/endpoints/{endpoint.name}/invocations")
    reply = request(
        endpoint, "POST", target, headers={"Content-Type": JSON}, body=make_body(endpoint, model), signed=True
    )
    code = reply.headers.get("x-amzn-errortype", "").partition(":")[0]
    told = str(reply.document.get("Message", "")) if isinstance(reply.document, dict) else ""
    if reply.status == 400 and code == "ValidationError" and told.endswith("not found."):
        return ""
    return f"{_ENDPOINT_GONE}, 'Endpoint … of account … not found.'\n{show_reply(endpoint, reply)}"
