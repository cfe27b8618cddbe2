"""Where and how a deployment is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NetworkPath = Literal["unix-socket", "loopback", "published-port", "node-port", "port-forward", "emulator", "remote"]
"""What lies between client and server; figures of different paths are compared with that in mind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS-style keys; never shown."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address (`http://127.0.0.1:8080`, `unix:/tmp/x/socket`), wire and network path of a deployment.

    It stays the same through the deployment's life. `name` is what the model (V2), the endpoint (SageMaker) or the function
    (Gradio) is called there. `body_limit_bytes` is the longest body that it documents to accept; None where no document says.
    """

    address: str
    wire: str
    path: NetworkPath
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None
    ca_file: str = ""
    body_limit_bytes: int | None = None
