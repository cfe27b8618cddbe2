"""A customer of the emulator."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from sagemaker_customer.service_model import CHECKED, check_against_model
from sagemaker_customer.waiting import wait_until
from sagemaker_customer.watching import Alarm, Asking, Blocked, Story
from seatrial.owner import Owner
from seatrial_fixtures.sagemaker.emulator import Emulator

IMAGE = "tests/container:1"
_ROLE = "arn:aws:iam::123456789012:role/test"
_QUICK = {"Delay": 0.1, "MaxAttempts": 600}


@dataclass
class Account:
    """A customer of one emulator."""

    emulator: Emulator
    owner: Owner
    state_dir: Path
    names: list[str] = field(default_factory=list)
    image: str = IMAGE
    role: str = _ROLE
    quick: Mapping[str, float] = field(default_factory=lambda: _QUICK)
    breaches: list[str] = field(default_factory=list)
    walked: set[tuple[str, str]] = field(default_factory=set)

    def client(self, service: str, **keys: str) -> Any:
        credentials = self.emulator.credentials
        client = boto3.client(
            service,
            endpoint_url=self.emulator.address,
            region_name=credentials.region,
            aws_access_key_id=keys.get("access_key", credentials.access_key),
            aws_secret_access_key=keys.get("secret_key", credentials.secret_key),
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        if service in CHECKED:
            client.meta.events.register("response-received", partial(self._check, client.meta.service_model))
        return client

    def _check(
        self, service_model: Any, response_dict: Any, parsed_response: Any, event_name: str, **more: Any
    ) -> None:
        """Every answer that any test gets is held against botocore's service model."""
        if response_dict is None:
            return
        operation = event_name.rpartition(".")[2]
        found = check_against_model(response_dict, parsed_response, service_model.operation_model(operation))
        self.breaches += [f"{operation}: {each}" for each in found]
        self.walked.add((operation, parsed_response.get("Error", {}).get("Code", "")))

    def __post_init__(self) -> None:
        self.sagemaker, self.runtime, self.s3 = (self.client(s) for s in ("sagemaker", "sagemaker-runtime", "s3"))

    def config(
        self,
        *,
        archive: bytes | None = None,
        instances: int = 1,
        version: str = "1",
        image: str = IMAGE,
        **environment: str,
    ) -> str:
        """Put a model into S3, register it, and return the name that model and configuration share."""
        name = f"m-{secrets.token_hex(4)}"
        self.s3.create_bucket(Bucket="models")
        self.s3.put_object(
            Bucket="models", Key=f"{name}/model.tar.gz", Body=archive or pack(("version", version.encode()))
        )
        container = {"Image": image, "ModelDataUrl": f"s3://models/{name}/model.tar.gz", "Environment": environment}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=_ROLE)
        variant = {
            "VariantName": "V",
            "ModelName": name,
            "InitialInstanceCount": instances,
            "InstanceType": "ml.m5.large",
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def configure(self, *variants: Mapping[str, Any], **members: Any) -> str:
        """An endpoint configuration of variants that name their models, as `config` returned them."""
        name = f"c-{secrets.token_hex(4)}"
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[complete(each) for each in variants], **members
        )
        return name

    def check(self, operation: str, answer: dict[str, Any]) -> list[str]:
        """What the service model says of an answer as it would come."""
        model = self.sagemaker.meta.service_model.operation_model(operation)
        return check_against_model({"body": json.dumps(answer).encode()}, answer, model)

    def pack(self, *members: tuple[str, bytes], level: int = 9) -> bytes:
        return pack(*members, level=level)

    def wait_until(self, holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
        wait_until(holds, timeout_s)

    def code_of(self, error: Any) -> str:
        return str(error.value.response["Error"]["Code"])

    def asking(self, name: str, threads: int = 3) -> Asking:
        return Asking(self, name, threads)

    def blocked(self, gate: Path) -> Blocked:
        return Blocked(self, gate)

    def story(self, name: str) -> Story:
        return Story(self, name)

    def alarm(self) -> Alarm:
        return Alarm(self)

    def is_baking(self, name: str, part: str) -> bool:
        """Whether an update waits, with the traffic turned on for `part` of its new fleet."""
        described = self.sagemaker.describe_endpoint(EndpointName=name)
        variants = described.get("PendingDeploymentSummary", {}).get("ProductionVariants") or ()
        stages = [stage for variant in variants for stage in variant.get("VariantStatus", [])]
        return any(stage["Status"] == "Baking" and f"on {part} capacity" in stage["StatusMessage"] for stage in stages)

    def create(self, config: str, name: str = "") -> str:
        name = name or f"e-{secrets.token_hex(4)}"
        self.names.append(name)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def serve(self, **options: Any) -> str:
        return self.start(self.config(**options))

    def start(self, config: str, name: str = "") -> str:
        name = self.create(config, name)
        self.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=_QUICK)
        return name

    def status(self, name: str) -> str:
        return str(self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])

    def settle(self, name: str) -> dict[str, Any]:
        """Wait until nothing is going on, and return the description."""
        wait_until(lambda: self.status(name) in {"InService", "Failed"})
        return dict(self.sagemaker.describe_endpoint(EndpointName=name))

    def invoke(self, name: str, body: bytes = b"hi", **options: str) -> Any:
        return self.runtime.invoke_endpoint(EndpointName=name, Body=body, **options)

    def clean(self) -> None:
        there = {
            row["EndpointName"]
            for page in self.sagemaker.get_paginator("list_endpoints").paginate()
            for row in page["Endpoints"]
        }
        for name in there.intersection(self.names):
            wait_until(lambda name=name: self.status(name) in {"InService", "Failed"})  # type: ignore[misc]
            self.sagemaker.delete_endpoint(EndpointName=name)
            self.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=_QUICK)
        self.names.clear()


def complete(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {"VariantName": "V", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large", **variant}


def pack(*members: tuple[str, bytes], level: int = 9) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=level) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()
