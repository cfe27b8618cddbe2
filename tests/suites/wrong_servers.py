"""A pytest plug-in: every HTTP specimen as a target of its own name."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec

from seatrial import registry
from seatrial.endpoint import Endpoint
from seatrial.environ import copy_environ
from seatrial.errors import DeploymentError
from seatrial.isolation import clean_environ
from seatrial.loading import LoadingError
from seatrial.looking import ModelPlace
from seatrial.model import ModelDirectory
from seatrial.requirement import Requirement
from seatrial.target import DeployContext, Deployment, Fidelity, Limits, StopReport, Usage
from seatrial_fixtures.process_deployment import ProcessDeployment
from seatrial_fixtures.processes import Launch, ServedProcess, answers_http, choose_port
from seatrial_fixtures.wrong.catalogue import Specimen, load_families
from seatrial_fixtures.wrong.observed import HOME
from seatrial_fixtures.wrong.security import AUTHORIZATION
from seatrial_fixtures.wrong.server import RightServer
from seatrial_fixtures.wrong.speech import SPEECHES
from seatrial_suites.conformance import (
    asking,
    lives,
    logs,
    outward,
    raw_http,
    soaking,
    straining,
    test_drawn,
    test_faults,
    test_memory,
    test_parallel,
    test_protocol_sagemaker,
    test_readiness,
    test_rolling,
    traffic,
)

READY_PATHS = {"v2": "/v2/health/ready", "sagemaker": "/ping", "mlflow": "/ping"}
REAL = Fidelity(real=("a specimen",))


class ThreadDeployment:
    """A specimen in a thread of this process: it has no life to speak of."""

    fidelity = REAL

    def __init__(self, model: ModelDirectory, context: DeployContext, name: str, specimen: Specimen) -> None:
        self.model, self.phases_s = model, {}
        self._stack = ExitStack()
        try:
            self.server = specimen.server(model.path, specimen.wire)
        except LoadingError as error:
            raise DeploymentError(str(error)) from error
        self.port = self._stack.enter_context(self.server.listen())
        self.endpoint = make_endpoint(self.port, specimen, model)

    def wait_ready(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not responds(self.port, timeout_s=max(0.05, deadline_s - time.monotonic())):
            if time.monotonic() > deadline_s:
                raise DeploymentError(f"nothing is answered within {timeout_s:g} s")

    def update(self, model: ModelDirectory) -> None:
        try:
            self.server.replace(model.path)
        except LoadingError as error:
            raise DeploymentError(str(error)) from error
        self.model = model

    def read_model_place(self) -> ModelPlace:
        return self.server.tell_place(self.model.path)

    def scale(self, replicas: int) -> None:
        self.server.scale(replicas)

    def count_instances(self) -> int:
        return self.server.instances

    def kill(self) -> None:
        raise NotImplementedError

    def stop(self, grace_s: float) -> StopReport:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def read_logs(self, lines: int = 200) -> str:
        return "\n".join([*self.server.lines][-lines:])

    def measure_usage(self) -> Usage:
        return Usage()

    def read_limits(self) -> Limits:
        return Limits(cpus=None, memory_bytes=None, is_known=False)

    def undeploy(self) -> None:
        self._stack.close()


class LivingDeployment(ProcessDeployment):
    """A specimen as a process."""

    def __init__(self, model: ModelDirectory, context: DeployContext, name: str, specimen: Specimen) -> None:
        port = choose_port()

        def launch(served: ModelDirectory) -> Launch:
            argv = [sys.executable, "-m", "seatrial_fixtures.wrong", name, "--model", str(served.path)]
            return Launch(argv=[*argv, "--port", str(port)], env=clean_environ(copy_environ()))

        log_path = context.log_dir / f"{name}.log"
        process = ServedProcess("specimen", launch(model), port=port, log_path=log_path, ownership=context.ownership)
        self.declared = {specimen.wire: specimen.server.declared_at_once}
        super().__init__(
            process=process,
            model=model,
            launch=launch,
            is_ready=lambda: answers_http(port, find_ready_path(specimen)),
            endpoint=make_endpoint(port, specimen, model),
            fidelity=REAL,
            stop_grace_s=context.stop_grace_s,
            ready_timeout_s=context.ready_timeout_s,
        )
        self.resources = context.resources

    def read_limits(self) -> Limits:
        return Limits(cpus=self.resources.cpus, memory_bytes=self.resources.memory_bytes)

    def declare_concurrency(self) -> Mapping[str, int]:
        return self.declared


class SpecimenTarget:
    bring_up_rank = 0
    settings_type = type("SpecimenSettings", (msgspec.Struct,), {}, forbid_unknown_fields=True)

    def __init__(self, name: str, specimen: Specimen) -> None:
        self.name, self.specimen = name, specimen
        self.capabilities = specimen.claims

    def probe_requirements(self, settings: Any) -> Sequence[Requirement]:
        return []

    def prepare(self, model: ModelDirectory, context: DeployContext) -> None:
        pass

    def deploy(self, model: ModelDirectory, context: DeployContext) -> Deployment:
        kind = LivingDeployment if self.specimen.life else ThreadDeployment
        return kind(model, context, self.name, self.specimen)


def responds(port: int, timeout_s: float) -> bool:
    """Whether anything is answered: what specimens have for readiness may be what is wrong with them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()


def find_ready_path(specimen: Specimen) -> str:
    return READY_PATHS.get(specimen.wire, "/config")


def make_endpoint(port: int, specimen: Specimen, model: ModelDirectory) -> Endpoint:
    name = SPEECHES[specimen.wire].name or model.name
    return Endpoint(
        address=f"http://127.0.0.1:{port}",
        wire=specimen.wire,
        path="loopback",
        name=name,
        headers=AUTHORIZATION if "auth" in specimen.claims else {},
        body_limit_bytes=RightServer.body_limit_bytes,
    )


def add(name: str, specimen: Specimen) -> None:
    registry.add(registry.TARGETS_GROUP, name, lambda: lambda: SpecimenTarget(name, specimen))


for family in load_families().values():
    for each_name, each in family.items():
        add(each_name, each)

# What is waited for here never comes, or at once.
asking.ANSWER_TIMEOUT_S = test_protocol_sagemaker.PING_TIMEOUT_S = 1.0
traffic.QUESTION_TIMEOUT_S, traffic.ANSWERED_WAIT_S = 1.0, 5.0
lives.GRACE_S = 5.0
lives.SILENCE_WAIT_S = lives.NEW_LIFE_WAIT_S = 1.0
lives.USAGE_WAIT_S = 3.0
logs.LOG_WAIT_S = soaking.DESCRIPTORS_WAIT_S = 0.5
outward.OUTSIDE = frozenset({HOME})
test_readiness.SLOW_LOAD_S, test_readiness.ANSWERED_WITHIN_S, test_readiness.READY_WITHIN_S = 1.6, 1.0, 1.0
test_readiness.HOLD_S, test_readiness.POLL_S = 0.0, 0.05
test_parallel.HOLD_S, test_parallel.PATIENCE_S = 0.2, 0.4
test_rolling.PACE_S, test_rolling.GONE_WITHIN_S = 0.02, 1.0
test_faults.PAUSE_S, test_faults.PATIENCE_S = 0.01, 0.2
# A specimen's limit is smaller than the one that it says.
test_memory.TIMES_LIMIT, test_memory.GREEDY_TIMEOUT_S, test_memory.RECOVERY_WAIT_S = 0.125, 10.0, 1.0
raw_http.REACTION_WAIT_S = 0.5
straining.PROMPT_WAIT_S = straining.RECOVERY_WAIT_S = 2.0
straining.BURST_S = 0.2
# Enough to meet what is wrong with a datatype, of which there are eleven in the model asked.
test_drawn.DRAWN = 8
