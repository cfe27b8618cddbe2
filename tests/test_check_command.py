"""`seatrial check`: an endpoint that already runs is asked the same checks, with a model and without, and nothing is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from built_models import build_models
from check_servers import serve
from checking import PASSING, check, read_result, statuses
from seatrial.check_result import CheckResult
from seatrial.endpoint import Endpoint
from seatrial.isolation import clean_environ
from seatrial.model import ModelDirectory, Resources
from seatrial.owner import Owner
from seatrial.target import DeployContext
from seatrial.wires.v2 import V2Wire
from seatrial_fixtures.processes import answers_http

pytestmark = pytest.mark.timeout(170)
UNCLAIMED = {"R06", "L07", "O03", "O04", "L03"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[ModelDirectory]:
    return build_models("seatrial_fixtures.models.digits:model", tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def reference(digits: list[ModelDirectory], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the reference server, a child process that serves digits."""
    with serve_model(digits[0], tmp_path_factory.mktemp("server")) as address:
        yield address


@contextmanager
def serve_model(model: ModelDirectory, directory: Path) -> Iterator[str]:
    """Run the reference server with a model, as a child process, for the block, and give its address."""
    port_file = directory / "port"
    argv = [sys.executable, "-m", "seatrial_fixtures.server", "--model", str(model.path), "--port-file", str(port_file)]
    with (directory / "server.log").open("wb") as log:
        child = subprocess.Popen(argv, stdout=log, stderr=log, env=clean_environ(os.environ))
    try:
        deadline_s = time.monotonic() + 60
        while not (port_file.exists() and answers_http(int(port_file.read_text()), "/v2/health/ready")):
            assert child.poll() is None, "the server ended"
            assert time.monotonic() < deadline_s, "the server is not ready"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        child.terminate()
        child.wait(timeout=60)


def test_with_the_model_all_that_a_foreign_endpoint_can_be_asked_passes(
    tmp_path: Path, reference: str, digits: list[ModelDirectory]
) -> None:
    file = tmp_path / "check.json"
    done = check(tmp_path, reference, "--wire", "v2", "--model", str(digits[0].path), "--json", str(file))

    assert done.returncode == 0, done.stdout + done.stderr
    result = msgspec.json.decode(file.read_bytes(), type=CheckResult)
    found = statuses(result)
    assert found.items() >= (dict.fromkeys(PASSING | {"R01"}, "pass") | dict.fromkeys(UNCLAIMED, "unsupported")).items()
    assert (result.verdict, result.exit_code, result.model.golden, result.name) == ("pass", 0, "given", "digits")
    assert result.totals["pass"] == list(found.values()).count("pass")
    assert sum(result.totals.values()) == len(result.checks)
    assert re.search(r"^R01 +MUST +golden cases +pass", done.stdout, re.MULTILINE)
    assert "none of its code is run" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["check.json", "state"]


@pytest.mark.parametrize("wire", ["sagemaker", "v2"])
def test_another_wire_of_the_same_server(
    tmp_path: Path, reference: str, digits: list[ModelDirectory], wire: str
) -> None:
    ids = ("--check", "r01", "--check", "B01")
    done = check(tmp_path, reference, "--wire", wire, "--model", str(digits[0].path), *ids, "--json", "-", "-q")

    assert (done.returncode, done.stderr) == (0, "")
    assert statuses(read_result(done)) == {"R01": "pass", "B01": "pass"}


def test_without_a_model_it_asks_what_the_server_tells_of_its_own(tmp_path: Path, reference: str) -> None:
    done = check(tmp_path, reference, "--wire", "v2", "--name", "digits", "--json", "-")

    assert done.returncode == 0, done.stderr
    result = read_result(done)
    assert statuses(result).items() >= {"R01": "not-run", **dict.fromkeys(PASSING, "pass")}.items()
    assert (result.verdict, result.model.golden, result.model.cases, result.remarks) == ("partial", "learned", 32, ())
    (golden,) = (each for each in result.checks if each.id == "R01")
    assert golden.message.startswith("no golden cases")
    assert "--model" in golden.message


@pytest.mark.parametrize("name", ["text", "nonce"])
def test_what_is_learned_holds_for_other_types(tmp_path: Path, name: str) -> None:
    model = build_models(f"seatrial_fixtures.models.{name}:model", tmp_path / "models")[0]
    with serve_model(model, tmp_path) as address:
        done = check(tmp_path, address, "--wire", "v2", "--name", model.name, "--json", "-", "-q")

    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(read_result(done)).items() >= {"R01": "not-run", **dict.fromkeys(PASSING, "pass")}.items()


def test_a_server_that_answers_no_golden_case_is_deployed_to_nobody(
    tmp_path: Path, digits: list[ModelDirectory]
) -> None:
    with serve() as address:
        done = check(tmp_path, address, "--wire", "v2", "--model", str(digits[0].path), "--json", "-", "-q")

    result = read_result(done)
    assert done.returncode == 6
    assert result.verdict == "error"
    assert set(statuses(result).values()) == {"error", "unsupported"}
    assert "refused the first golden case" in "".join(result.causes)


def _context(tmp_path: Path, owner: Owner, settings: object) -> DeployContext:
    for name in ("work", "cache", "logs"):
        (tmp_path / name).mkdir()
    return DeployContext(
        ownership=owner,
        work_dir=tmp_path / "work",
        cache_dir=tmp_path / "cache",
        log_dir=tmp_path / "logs",
        settings=settings,
        resources=Resources(),
        ready_timeout_s=300,
    )


@pytest.mark.mlflow
@pytest.mark.timeout(600)
def test_a_server_of_mlflow(tmp_path: Path, digits: list[ModelDirectory]) -> None:
    from seatrial_fixtures.targets.mlflow import MlflowSettings, MlflowTarget

    with Owner.start(f"test-check-{os.getpid()}", tmp_path / "state") as owner:
        deployment = MlflowTarget().deploy(digits[0], _context(tmp_path, owner, MlflowSettings()))
        try:
            deployment.wait_ready(300)
            result = _check_deployed(tmp_path, deployment.endpoint, digits[0])
        finally:
            deployment.undeploy()

    assert statuses(result).items() >= {"R01": "pass", "R03": "pass", "N01": "pass", "L07": "unsupported"}.items()


@pytest.mark.gradio
@pytest.mark.timeout(400)
@pytest.mark.parametrize("wire", ["gradio-run", "gradio-call"])
def test_an_app_of_gradio_tells_the_name_of_its_only_function(
    tmp_path: Path, digits: list[ModelDirectory], wire: str
) -> None:
    from seatrial_fixtures.targets.gradio import GradioSettings, GradioTarget

    with Owner.start(f"test-check-{os.getpid()}-{wire}", tmp_path / "state") as owner:
        deployment = GradioTarget().deploy(digits[0], _context(tmp_path, owner, GradioSettings()))
        try:
            deployment.wait_ready(150)
            endpoint = replace(deployment.endpoint, wire=wire)
            result = _check_deployed(tmp_path, endpoint, digits[0])
            unknown = check(tmp_path, endpoint.address, "--wire", wire)
        finally:
            deployment.undeploy()

    assert result.name == deployment.endpoint.name
    assert statuses(result).items() >= {"R01": "pass", "R03": "pass", "N01": "pass", "L07": "unsupported"}.items()
    assert unknown.returncode == 2
    assert "does not tell the signature" in unknown.stderr


def _check_deployed(tmp_path: Path, endpoint: Endpoint, model: ModelDirectory) -> CheckResult:
    """Check without saying the name: what a wire needs of it is found."""
    named = ("--name", endpoint.name) if endpoint.wire == V2Wire.name else ()
    done = check(
        tmp_path, endpoint.address, "--wire", endpoint.wire, "--model", str(model.path), *named, "--json", "-", "-q"
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return read_result(done)
