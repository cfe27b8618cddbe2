"""What a server of the Open Inference Protocol V2 tells of its model.

github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Server Metadata" and "Model Metadata". The
protocol lists no models; servers with the extension `model_repository` do (POST /v2/repository/index).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from seatrial.discovery import MODEL_FIX, Discovery, Fetch, Signature, choose_name, read_object
from seatrial.errors import UsageError
from seatrial.model import TensorSpec
from seatrial.wires.http1 import show_body

_LISTING = "model_repository"


def discover_model(fetch: Fetch, name: str) -> Discovery:
    """Return name, version and signature of the model.

    Raises:
        UsageError: no or another model has that name, or its signature is not one that can be asked by.
        NoAnswerError: the server does not answer as the protocol has it.
    """
    name = name or _find_name(fetch)
    path = f"/v2/models/{quote(name, safe='')}"
    response = fetch(path)
    if response.status in {400, 404}:
        raise UsageError(
            f"{path} answers with status {response.status}: {show_body(response.body)}",
            fix="give the model's name there with --name, and see that the server speaks this wire",
        )
    told = read_object(response, path)
    versions = told.get("versions")
    return Discovery(
        name=name,
        signature=Signature(
            inputs=_read_tensors(told, "inputs", path),
            outputs=_read_tensors(told, "outputs", path),
            version=str(versions[-1]) if isinstance(versions, list) and versions else "",
        ),
    )


def _find_name(fetch: Fetch) -> str:
    server = read_object(fetch("/v2"), "/v2")
    extensions = server.get("extensions")
    if not isinstance(extensions, list) or _LISTING not in extensions:
        return choose_name((), "model")
    response = fetch("/v2/repository/index", method="POST")
    try:
        rows = orjson.loads(response.body)
        ready = {str(row["name"]) for row in rows if row.get("state", "READY") == "READY"}
    except (ValueError, KeyError, TypeError, AttributeError):
        ready = set()
    return choose_name(sorted(ready), "model")


def _read_tensors(told: dict[str, Any], which: str, path: str) -> tuple[TensorSpec, ...]:
    rows = told.get(which)
    try:
        if not rows:
            raise ValueError("there are none")
        specs = tuple(
            TensorSpec(name=row["name"], datatype=row["datatype"], shape=tuple(int(size) for size in row["shape"]))
            for row in rows
        )
        if len({spec.name for spec in specs}) != len(specs):
            raise ValueError("two have the same name")
        if any(size < -1 for spec in specs for size in spec.shape):
            raise ValueError("a shape has a size below -1")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} tells no {which} that can be asked by: {why}", fix=MODEL_FIX) from error
    return specs
