"""A customer's multi-model endpoint."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

_IMAGE = "tests/multi-model:1"


@dataclass
class Shelf:
    """A multi-model endpoint, and the prefix in S3 that it serves from."""

    account: Any
    prefix: str = field(default_factory=lambda: f"shelf-{secrets.token_hex(4)}")
    endpoint: str = ""
    image: str = _IMAGE

    def put(self, target: str, answer: str, load: str = "") -> None:
        members = [("answer", answer.encode())] + ([("load", load.encode())] if load else [])
        self.account.s3.create_bucket(Bucket="models")
        key = f"{self.prefix}/{target}"
        self.account.s3.put_object(Bucket="models", Key=key, Body=self.account.pack(*members))

    def configure(self, *, instances: int = 1, caching: str = "", **environment: str) -> str:
        name = f"m-{secrets.token_hex(4)}"
        container: dict[str, Any] = {
            "Image": self.image,
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://models/{self.prefix}/",
            "Environment": environment,
        }
        if caching:
            container["MultiModelConfig"] = {"ModelCacheSetting": caching}
        sagemaker = self.account.sagemaker
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.account.role)
        variant = {
            "VariantName": "V",
            "ModelName": name,
            "InitialInstanceCount": instances,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def serve(self, **options: Any) -> None:
        self.endpoint = self.account.create(self.configure(**options))
        assert self.account.settle(self.endpoint)["EndpointStatus"] == "InService"

    def ask(self, target: str, body: bytes = b"hi", **options: str) -> str:
        answer = self.account.invoke(self.endpoint, body, TargetModel=target, **options)
        return str(answer["Body"].read().decode())

    def history(self, target: str) -> list[list[str]]:
        """What was loaded and unloaded; of one instance."""
        return list(json.loads(self.ask(target, b"history"))[:-1])
