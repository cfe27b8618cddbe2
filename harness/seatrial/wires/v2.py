"""`v2`: the Open Inference Protocol V2 over HTTP.

github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Inference".
"""

from __future__ import annotations

from typing import Any

import orjson

from seatrial.discovery import Discovery, Fetch
from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Manifest
from seatrial.tensors import fits, to_array, to_list
from seatrial.wire import Exchange, Framing
from seatrial.wires.json_exchange import Decoded, JsonExchange
from seatrial.wires.v2_metadata import discover_model


class V2Wire:
    """POST /v2/models/NAME/infer with typed, shaped tensors."""

    name = "v2"
    framing: Framing = "http"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""
        datatypes = {spec.name: spec.datatype for spec in manifest.inputs}
        url = f"{endpoint.address}/v2/models/{endpoint.name or manifest.name}/infer"

        def encode(inputs: Arrays) -> bytes:
            tensors = [
                {"name": name, "shape": list(array.shape), "datatype": datatypes[name], "data": to_list(array)}
                for name, array in inputs.items()
            ]
            return orjson.dumps({"inputs": tensors})

        def decode(body: Any) -> Decoded:
            tensors = {tensor["name"]: tensor for tensor in body["outputs"]}
            return read_outputs(tensors, manifest), str(body.get("model_version", ""))

        return JsonExchange(url=url, headers=endpoint.headers, encode=encode, decode=decode)

    def discover(self, fetch: Fetch, name: str) -> Discovery:
        """Return what the server's metadata tells."""
        return discover_model(fetch, name)


def read_outputs(tensors: dict[str, Any], manifest: Manifest) -> Arrays:
    """Return the outputs of a V2 response as arrays.

    Raises:
        ValueError: a name, datatype, shape or element is not the signature's.
    """
    expected = {spec.name for spec in manifest.outputs}
    if set(tensors) != expected:
        raise ValueError(f"outputs {sorted(tensors)}, the signature says {sorted(expected)}")
    arrays = {}
    for spec in manifest.outputs:
        tensor = tensors[spec.name]
        shape = tuple(tensor["shape"])
        if tensor["datatype"] != spec.datatype or not fits(shape, spec.shape):
            got = f"{tensor['datatype']} {list(shape)}"
            raise ValueError(f"{spec.name} is {got}, the signature says {spec.datatype} {list(spec.shape)}")
        arrays[spec.name] = to_array(tensor["data"], spec.datatype, shape)
    return arrays
