"""A customer's transform jobs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_IMAGE = "tests/batch:1"


@dataclass
class Batch:
    """A customer with a bucket for input and output, below a prefix of the test's own."""

    account: Any
    root: str = field(default_factory=lambda: f"t-{secrets.token_hex(4)}")
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for bucket in ("batch", "models"):
            self.account.s3.create_bucket(Bucket=bucket)

    def model(self, version: str = "1", **environment: str) -> str:
        name = f"m-{secrets.token_hex(4)}"
        archive = self.account.pack(("version", version.encode()))
        self.account.s3.put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=archive)
        self.account.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={
                "Image": _IMAGE,
                "ModelDataUrl": f"s3://models/{name}/model.tar.gz",
                "Environment": environment,
            },
            ExecutionRoleArn=self.account.role,
        )
        return name

    def put(self, key: str, content: bytes) -> None:
        self.account.s3.put_object(Bucket="batch", Key=f"{self.root}/{key}", Body=content)

    def create(
        self,
        model: str,
        *,
        source: str = "in/",
        data: Mapping[str, str] | None = None,
        output: Mapping[str, str] | None = None,
        kind: str = "S3Prefix",
        instances: int = 1,
        **options: Any,
    ) -> str:
        name = options.pop("TransformJobName", f"j-{secrets.token_hex(4)}")
        place = {"S3DataType": kind, "S3Uri": f"s3://batch/{self.root}/{source}"}
        self.account.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput={"DataSource": {"S3DataSource": place}, **(data or {"SplitType": "Line"})},
            TransformOutput={"S3OutputPath": f"s3://batch/{self.root}/out", **(output or {"AssembleWith": "Line"})},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": instances},
            **options,
        )
        self.names.append(name)
        return str(name)

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.account.sagemaker.describe_transform_job(TransformJobName=name))

    def settle(self, name: str) -> dict[str, Any]:
        self.account.wait_until(lambda: self.describe(name)["TransformJobStatus"] not in {"InProgress", "Stopping"})
        return self.describe(name)

    def run(self, model: str, **options: Any) -> dict[str, Any]:
        return self.settle(self.create(model, **options))

    def outputs(self) -> dict[str, bytes]:
        listed = self.account.s3.list_objects_v2(Bucket="batch", Prefix=f"{self.root}/out/").get("Contents", [])
        return {
            row["Key"].removeprefix(f"{self.root}/out/"): self.account.s3.get_object(Bucket="batch", Key=row["Key"])[
                "Body"
            ].read()
            for row in listed
        }


def number(count: int) -> bytes:
    """So many lines, each its number."""
    return b"".join(b"%d\n" % n for n in range(count))
