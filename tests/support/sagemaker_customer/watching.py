"""What is done, and seen, while an endpoint changes."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_customer.waiting import wait_until

if TYPE_CHECKING:
    from sagemaker_customer.account import Account


class Asking:
    """Invokes an endpoint without a pause from `threads` threads, and keeps what came back."""

    def __init__(self, account: Account, name: str, threads: int = 3) -> None:
        self.answers: list[str] = []
        self.errors: list[str] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(account.client("sagemaker-runtime"), name)) for _ in range(threads)
        ]

    def _ask(self, runtime: Any, name: str) -> None:
        while not self._ended.is_set():
            try:
                self.answers.append(runtime.invoke_endpoint(EndpointName=name, Body=b"version")["Body"].read().decode())
            except (ClientError, BotoCoreError) as error:
                self.errors.append(repr(error))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.answers) > 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@dataclass
class Blocked:
    """A request that its container holds back until `release`."""

    account: Account
    gate: Path
    answers: list[bytes] = field(default_factory=list)

    def ask(self, name: str) -> str:
        """Send it; returns the process id of the container that has it."""
        body = f"block:{self.gate}".encode()
        self._thread = threading.Thread(
            target=lambda: self.answers.append(self.account.invoke(name, body)["Body"].read())
        )
        self._thread.start()
        begun = self.gate.with_suffix(".begun")
        wait_until(begun.exists)
        return begun.read_text()

    def release(self) -> None:
        self.gate.with_suffix(".open").touch()
        self._thread.join()


@dataclass
class Story:
    """What DescribeEndpoint told until an update was over, without repetitions: status, stage, counts of new and of old."""

    account: Account
    name: str
    told: list[tuple[str, str, int, int]] = field(default_factory=list)
    said: set[tuple[str, str]] = field(default_factory=set)
    last: dict[str, Any] = field(default_factory=dict)

    def listen(self) -> None:
        wait_until(self._look, 60.0)

    def _look(self) -> bool:
        self.last = self.account.sagemaker.describe_endpoint(EndpointName=self.name)
        status = self.last["EndpointStatus"]
        (old,) = self.last["ProductionVariants"]
        (new,) = self.last.get("PendingDeploymentSummary", {}).get("ProductionVariants") or ({},)
        stages = new.get("VariantStatus", [])
        self.said.update((status, stage["StatusMessage"]) for stage in [*stages, *old.get("VariantStatus", [])])
        stage = stages[0]["Status"] if stages else ""
        line = (status, stage, new.get("CurrentInstanceCount", 0), old["CurrentInstanceCount"])
        if self.told[-1:] != [line]:
            self.told.append(line)
        return status in {"InService", "UpdateRollbackFailed"}


class Alarm:
    """A CloudWatch alarm that is OK at first."""

    def __init__(self, account: Account) -> None:
        self.name = f"a-{secrets.token_hex(4)}"
        self.config = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": self.name}]}}
        self._cloudwatch = account.client("cloudwatch")
        self._cloudwatch.put_metric_alarm(
            AlarmName=self.name,
            MetricName="Invocation5XXErrors",
            Namespace="AWS/SageMaker",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )

    def turn(self, state: str) -> None:
        self._cloudwatch.set_alarm_state(AlarmName=self.name, StateValue=state, StateReason="the test says so")

    def delete(self) -> None:
        self._cloudwatch.delete_alarms(AlarmNames=[self.name])
