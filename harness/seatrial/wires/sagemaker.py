"""`sagemaker`: InvokeEndpoint of the SageMaker runtime, or a container's own /invocations.

With credentials the request is signed (Signature Version 4, service `sagemaker`) and goes to /endpoints/NAME/invocations
(docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html); without, it goes to /invocations of the
container contract (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from seatrial.endpoint import Credentials, Endpoint
from seatrial.model import Arrays, Manifest
from seatrial.wire import Exchange, Framing
from seatrial.wires.json_exchange import Decoded, JsonExchange, nest, unnest


class SageMakerWire:
    """`{"inputs": {name: nested list}}` to `{"outputs": {name: nested list}, "model_version": ...}`, as JSON."""

    name = "sagemaker"
    framing: Framing = "http"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""
        path = f"/endpoints/{endpoint.name}/invocations" if endpoint.credentials else "/invocations"
        url = endpoint.address + path

        def encode(inputs: Arrays) -> bytes:
            return orjson.dumps({"inputs": nest(inputs)})

        def sign(headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
            return sign_request(endpoint.credentials, url, headers, body) if endpoint.credentials else headers

        def decode(body: Any) -> Decoded:
            return unnest(body["outputs"], manifest), str(body.get("model_version", ""))

        return JsonExchange(url=url, headers=endpoint.headers, encode=encode, decode=decode, sign=sign)


def sign_request(
    credentials: Credentials,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str = "POST",
    service: str = "sagemaker",
) -> Mapping[str, str]:
    """Return the headers with a Signature Version 4; valid for five minutes."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Keys

    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    keys = Keys(credentials.access_key, credentials.secret_key, credentials.session_token or None)
    SigV4Auth(keys, service, credentials.region).add_auth(request)
    return dict(request.headers.items())
