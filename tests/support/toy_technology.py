"""A technology of a user's own, in one file, and a test of a user's that asks it."""

from __future__ import annotations

from pathlib import Path

ASK = """
from seatrial.comparison import compare

def test_mine(seatrial_deployment, seatrial_client, seatrial_model, seatrial_endpoint):
    case = seatrial_model.cases[0]
    answer = seatrial_client.ask(case.inputs)
    assert compare(case.outputs, answer.outputs, seatrial_model.manifest).right
    assert seatrial_endpoint is seatrial_deployment.endpoint
"""

TOY = """
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seatrial import registry
from seatrial.endpoint import Endpoint
from seatrial.requirement import Requirement
from seatrial.target import Fidelity, Limits, StopReport, Usage

class ToySettings(msgspec.Struct, forbid_unknown_fields=True):
    lacks: bool = False
    breaks: bool = False

class ToyDeployment:
    def __init__(self, model, context):
        path = context.work_dir / "socket"
        argv = [sys.executable, "-m", "seatrial_fixtures.floor", "--model", str(model.path), "--socket", str(path)]
        self.model, self.context, self.path = model, context, path
        self.endpoint = Endpoint(address=f"unix:{path}", wire="frame", path="unix-socket")
        self.fidelity = Fidelity(real=("toy",))
        self.phases_s = {}
        (context.log_dir / "deployed").open("a").write("x")
        self.child = context.ownership.spawn(argv, env=context.settings_env)
    def wait_ready(self, timeout_s):
        import socket, time
        deadline = time.monotonic() + timeout_s
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    return probe.connect(str(self.path))
                except OSError:
                    assert time.monotonic() < deadline and self.child.poll() is None
            time.sleep(0.02)
    def update(self, model): raise NotImplementedError
    def kill(self): raise NotImplementedError
    def stop(self, grace_s): raise NotImplementedError
    def restart(self): raise NotImplementedError
    def read_logs(self, lines=200): return "toy log"
    def measure_usage(self): return Usage()
    def read_limits(self): return Limits(cpus=None, memory_bytes=None)
    def undeploy(self): self.context.ownership.end(self.child, 0.0)

class ToyTarget:
    name = "toy"
    capabilities = frozenset({"batch"})
    settings_type = ToySettings
    bring_up_rank = 0
    def probe_requirements(self, settings):
        return [Requirement(name="toy box", found=not settings.lacks, detail="looked under the bed", fix="buy one")]
    def prepare(self, model, context): pass
    def deploy(self, model, context):
        if context.settings.breaks:
            from seatrial.errors import DeploymentError
            raise DeploymentError("the toy broke", fix="glue it")
        return ToyDeployment(model, context)

registry.add(registry.TARGETS_GROUP, "toy", lambda: ToyTarget)
"""


def write_toy(directory: Path) -> None:
    text = TOY.replace("context.settings_env", "dict(__import__('os').environ)")
    (directory / "toy_plugin.py").write_text(text)
    (directory / "test_mine.py").write_text(ASK)
