"""`seatrial check`: an endpoint that already runs is asked the same checks, with a model and without, and nothing is left."""

from __future__ import annotations

import json
import os
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from seatrial.check_result import CheckResult
from seatrial.cli.check_order import CheckOptions, read_order
from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.isolation import clean_environ
from seatrial.load.address import resolve
from seatrial.model import ModelDirectory, Resources
from seatrial.owner import Owner
from seatrial.target import DeployContext
from seatrial.wires.v2 import V2Wire
from seatrial_fixtures.processes import answers_http

pytestmark = pytest.mark.timeout(170)
SERVERS = runpy.run_path(str(Path(__file__).with_name("check_servers.py")))
SECRET: str = SERVERS["SECRET"]
serve: Callable[..., AbstractContextManager[str]] = SERVERS["serve"]
make_authority = runpy.run_path(str(Path(__file__).parent / "harness" / "load" / "certificates.py"))["make_authority"]
PASSING = {"R03", "B01", "N01"}
UNCLAIMED = {"R06", "L07", "O03", "O04", "L03"}
SMALL = ("--wire", "v2", "--name", "double")
FEW = tuple(word for each in ("R01", *sorted(PASSING)) for word in ("--check", each))
"""What the small servers are written for; every check is asked of the specimens."""


def check(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    env |= {"SEATRIAL_STATE_DIR": str(directory / "state"), **environ}
    argv = [sys.executable, "-m", "seatrial", "check", *arguments]
    return subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True, timeout=160)


def read_result(done: subprocess.CompletedProcess[str]) -> CheckResult:
    assert done.stdout, done.stderr
    return msgspec.json.decode(done.stdout, type=CheckResult)


def statuses(result: CheckResult) -> dict[str, str]:
    return {each.id: each.status for each in result.checks}


def build(locator: str, out: Path) -> list[ModelDirectory]:
    argv = [sys.executable, "-m", "seatrial.model_child", "python", locator, str(out)]
    built = subprocess.run(argv, check=True, capture_output=True, timeout=160)
    return [ModelDirectory.open(Path(path)) for path in json.loads(built.stdout.splitlines()[-1])["directories"]]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[ModelDirectory]:
    return build("seatrial_fixtures.models.digits:model", tmp_path_factory.mktemp("digits"))


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
    model = build(f"seatrial_fixtures.models.{name}:model", tmp_path / "models")[0]
    with serve_model(model, tmp_path) as address:
        done = check(tmp_path, address, "--wire", "v2", "--name", model.name, "--json", "-", "-q")

    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(read_result(done)).items() >= {"R01": "not-run", **dict.fromkeys(PASSING, "pass")}.items()


@pytest.mark.parametrize(
    ("fault", "failing", "words"),
    [
        ("", set(), ""),
        ("breaks", {"B01"}, "that is: failed, with status 500"),
        ("takes-all", {"B01"}, "a bare word:"),
        ("mixes-rows", {"R03"}, "elements wrong"),
        ("dies", {"N01", "B01"}, "no answer"),
    ],
)
def test_a_wrong_server_fails_just_what_it_is_wrong_for(
    tmp_path: Path, fault: str, failing: set[str], words: str
) -> None:
    with serve(fault) as address:
        done = check(tmp_path, address, *SMALL, *FEW, "--json", "-", "-q")

    result = read_result(done)
    assert {each.id for each in result.checks if each.status in {"fail", "error"}} == failing, done.stdout
    assert done.returncode == result.exit_code == (1 if failing else 0)
    assert result.verdict == ("fail" if failing else "partial")
    assert words in "".join(each.message for each in result.checks if each.id in failing)


def test_a_failure_is_told_with_its_evidence_and_the_command_that_asks_it_again(tmp_path: Path) -> None:
    with serve("breaks") as address:
        done = check(tmp_path, address, *SMALL, "--seed", "3", "--check", "B01", "-q")

    assert done.returncode == 1
    assert "B01    MUST   what is no JSON is refused  fail" in done.stdout
    assert "sent: curl -i -X POST" in done.stdout
    assert f"again: seatrial check {address} --wire v2 --name double --seed 3 --check B01" in done.stdout
    assert done.stdout.endswith("1 fail: fail (exit code 1)\n")


def test_a_server_with_two_answers_is_not_asked_what_would_compare_them(tmp_path: Path) -> None:
    with serve("unsteady") as address:
        done = check(tmp_path, address, *SMALL, "--json", "-")

    result = read_result(done)
    assert done.returncode == 3
    assert result.model.golden == "unsteady"
    assert "32 of 32 questions, asked twice and alone" in result.remarks[0]
    assert statuses(result).items() >= {**dict.fromkeys(PASSING | {"R01"}, "not-run")}.items()
    assert "nothing ran" in result.causes


def test_the_name_is_found_where_the_server_lists_its_models(tmp_path: Path) -> None:
    with serve("lists-models") as address:
        done = check(tmp_path, address, "--wire", "v2", "--check", "R03", "--json", "-", "-q")

    assert (done.returncode, read_result(done).name) == (0, "double"), done.stderr


def test_what_a_header_says_is_told_nowhere(tmp_path: Path) -> None:
    command = (*SMALL, "--header", f"X-Mine: {SECRET}", "--out", "kept", "--check", "N01", "--check", "B01")
    with serve("breaks") as address:
        done = check(tmp_path, address, *command, "--json", "check.json")

    assert done.returncode == 1
    assert "no question, ***" in done.stdout
    assert "-H 'X-Mine: ***'" in done.stdout
    assert "--header 'X-Mine: ***'" in done.stdout
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"check.json", "run.json", "report.html", "records.jsonl", "start.json"} <= {path.name for path in kept}
    assert not [str(path) for path in kept if SECRET.encode() in path.read_bytes()]
    assert SECRET not in done.stdout + done.stderr


def test_what_refuses_every_question_is_one_sentence(tmp_path: Path) -> None:
    with serve("refuses") as address:
        done = check(tmp_path, address, *SMALL, "--header", f"X-Mine: {SECRET}", "-q")

    assert done.returncode == 3
    assert "not one of 32 questions" in done.stderr
    assert "rejected (status 403)" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


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


def test_over_tls_the_certificate_must_hold(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "authority.pem")
    with serve(certificate=authority.certify(tmp_path / "server.pem")) as address:
        known = check(tmp_path, address, *SMALL, "--ca-file", str(authority.file), "--check", "R03", "-q")
        unknown = check(tmp_path, address, *SMALL, "--check", "R03", "-q")

    assert known.returncode == 0, known.stderr
    assert unknown.returncode == 3
    assert "a certificate that does not hold" in unknown.stderr
    assert "--ca-file" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("http://192.0.2.1", *SMALL), 2, "192.0.2.1 is not this machine, and what is malformed goes to loopback"),
        (("http://127.0.0.1:9", *SMALL), 3, "127.0.0.1:9 does not answer"),
        (("http://127.0.0.1:9", "--wire", "v3"), 2, "Did you mean 'v2'?"),
        (("http://127.0.0.1:9", "--wire", "mlflow"), 2, "seatrial build NAME DIR"),
        (("http://127.0.0.1:9", "--wire", "sagemaker"), 2, "give --model DIR"),
        (("http://127.0.0.1:9", *SMALL, "--model", "digits"), 2, "seatrial build NAME DIR"),
        (("http://127.0.0.1:9", *SMALL, "--check", "B1"), 2, "Did you mean 'B0"),
        (("http://127.0.0.1:9", *SMALL, "--check", "P08"), 2, "belongs to the suite benchmark"),
        (("http://127.0.0.1:9", *SMALL, "--profile", "full"), 2, "one of smoke, standard, nightly"),
        (("http://127.0.0.1:9/v2/", *SMALL), 2, "give http://127.0.0.1:9\n"),
        (("http://127.0.0.1:9", *SMALL, "--header", "X"), 2, "not the name of a header"),
        (("http://127.0.0.1:9", *SMALL, "--header", "A: 1", "--header", "a: 2"), 2, "given twice"),
        (("http://127.0.0.1:9", *SMALL, "--json", "none/check.json"), 2, "there is no directory"),
        (("http://127.0.0.1:9", "--wire", "frame"), 2, "give unix:/PATH"),
        (("unix:/nowhere", *SMALL), 2, "give http://HOST:PORT"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = check(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "arguments", "words"),
    [
        ("", ("--wire", "v2"), "does not tell the name of its model"),
        ("", ("--wire", "v2", "--name", "triple"), "give the model's name there with --name"),
        ("odd-signature", SMALL, "datatype 'COMPLEX'"),
    ],
)
def test_a_signature_that_cannot_be_learned_says_what_to_give(
    tmp_path: Path, fault: str, arguments: tuple[str, ...], words: str
) -> None:
    with serve(fault) as address:
        done = check(tmp_path, address, *arguments)

    assert done.returncode == 2
    assert words in done.stderr


def test_an_allowed_host_is_one_that_is_named() -> None:
    address = "http://192.0.2.1:9"
    order = read_order(make_options(url=address, allowed=("192.0.2.1",)), {})

    assert (order.endpoint.address, order.endpoint.path) == (address, "remote")
    with pytest.raises(UsageError, match="is not this machine") as refused:
        read_order(make_options(url=address, allowed=("192.0.2.2",)), {})
    assert refused.value.fix == "give --allow-remote 192.0.2.1 if it is yours"


def test_a_name_that_leads_elsewhere_too_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client takes whichever of its addresses answers first."""
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 9)) for each in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)

    with pytest.raises(UsageError, match=r"both.test \(192.0.2.1\) is not this machine"):
        read_order(make_options(url="http://both.test:9"), {})
    assert resolve("http://both.test:9").destination.host == "127.0.0.1", (
        "load goes to the address that is this machine's"
    )


def make_options(**given: Any) -> CheckOptions:
    options = CheckOptions(
        url="http://127.0.0.1:9",
        wire="v2",
        model="",
        name="double",
        headers=(),
        ca_file="",
        profile="standard",
        check_ids=(),
        seed=1,
        allowed=(),
        out=None,
        json_file="",
    )
    return replace(options, **given)


def test_headers_of_another_endpoint_in_the_settings_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.seatrial.targets.url]\naddress = "http://127.0.0.1:9"\nheaders = {{ X-Mine = "{SECRET}" }}\n'
    )
    with serve("refuses") as address:
        done = check(tmp_path, address, *SMALL)

    assert "None may not" in done.stderr


def test_the_file_is_as_its_schema_says(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "seatrial", "schema", "--of", "check"]
    schema = json.loads(subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, timeout=60).stdout)
    with serve("breaks") as address:
        done = check(tmp_path, address, *SMALL, "--json", "-", "-q")

    result: Any = json.loads(done.stdout)
    jsonschema.validate(result, schema)
    assert result["schema"] == "seatrial.check/1"
    assert {"wire", "checks", "totals"} <= set(result)
    assert {"id", "level", "status", "message"} <= set(result["checks"][0])


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
