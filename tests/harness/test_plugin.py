"""The pytest plug-in, as a user's repository sees it: in a directory of its own, with processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_sessions import make_environ, read_run, run_pytest

STANDARD = ("--seatrial-profile", "standard", "--seatrial-suite", "conformance")
ASK = """
from seatrial.comparison import compare

def test_mine(seatrial_deployment, seatrial_client, seatrial_model, seatrial_endpoint):
    case = seatrial_model.cases[0]
    answer = seatrial_client.ask(case.inputs)
    assert compare(case.outputs, answer.outputs, seatrial_model.manifest).right
    assert seatrial_endpoint is seatrial_deployment.endpoint
"""

LOADS = """
import subprocess
import sys

def load(endpoint):
    url = f"{endpoint.address}/v2/health/live"
    options = ["--users", "1", "--warm-up", "0", "--duration", "0.2", "--quiet"]
    argv = [sys.executable, "-m", "seatrial", "load", url, *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)

def test_holding(seatrial_endpoint):
    done = load(seatrial_endpoint)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "runs within a test of a trial" in done.stderr
    assert "name the fixture seatrial_load" in done.stderr

def test_free(seatrial_endpoint, seatrial_load):
    done = load(seatrial_endpoint)
    assert "requests:" in done.stdout, done.stdout + done.stderr

def test_fixtures(seatrial_capacity, seatrial_floor):
    import pytest
    from seatrial.checks import UnsupportedError
    from seatrial.trial.searching import CapacityOrder
    record = seatrial_capacity(CapacityOrder(name="mine", window_s=1.0, longest_s=3.0))
    assert record.capacity.rungs and len(record.runs) == len(record.capacity.rungs)
    with pytest.raises(UnsupportedError, match="has no floor"):
        seatrial_floor(20.0)
"""

WIRES = """
from seatrial.checks import check

@check("A01", "over http", sentence="s", source="s", wires={"http", "http-events"})
def test_http(seatrial_deployment):
    raise AssertionError("it was asked")

@check("A02", "over frames", sentence="s", source="s", wires={"v2", "frame"})
def test_frames(seatrial_deployment):
    pass
"""

UNWRITABLE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
def test_mine(seatrial_deployment, number):
    for path in (Path(__file__).parent / "seatrial-results").glob("*/records.jsonl"):
        if path.is_file():
            path.unlink()
            path.mkdir()
"""

NOTHING_FOR_IT = """
import pytest
from seatrial.checks import UnsupportedError, check

@pytest.fixture
def broken():
    raise UnsupportedError("of a fixture's own")

@check("A01", "looks inside", sentence="s", source="s")
def test_look(seatrial_deployment):
    raise UnsupportedError("there is nothing to look with")

@check("A02", "looks inside by a fixture", sentence="s", source="s")
def test_fixture(seatrial_deployment, broken):
    pass
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


def test_unused_it_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n"
        "def test_plain():\n"
        "    heavy = {'numpy', 'msgspec', 'orjson', 'h11', 'rich', 'seatrial.pytest_session', 'seatrial.settings'}\n"
        "    assert not heavy & set(sys.modules)\n"
        "    assert 'seatrial.plugin' in sys.modules\n"
    )
    off = [f"no:{name}" for name in ("hypothesispytest", "locust", "pytest_locust", "anyio", "xdist", "timeout")]

    done = run_pytest(tmp_path, *[word for name in off for word in ("-p", name)])

    assert done.returncode == 0, done.stdout


def test_a_users_test_runs_on_every_chosen_target(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(ASK)

    done = run_pytest(tmp_path, "--target", "inprocess,local", "-v")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_mine[inprocess] PASSED" in done.stdout
    assert "test_mine[local] PASSED" in done.stdout
    run = read_run(tmp_path)
    assert set(run.targets) == {"inprocess", "local"}
    assert run.leftovers == ()
    for result in run.targets.values():
        assert result.deployments[0].phases_s["first-answer"] > 0
        assert {phase.name for phase in result.timeline} >= {"build", "start", "ready", "first-answer", "undeploy"}


def test_a_load_run_of_a_test_is_refused_at_once_or_made(tmp_path: Path) -> None:
    """It would wait for the test that waits for it."""
    (tmp_path / "test_loads.py").write_text(LOADS)

    done = run_pytest(tmp_path, "--target", "local")

    assert done.returncode == 0, done.stdout + done.stderr
    result = read_run(tmp_path).targets["local"]
    assert {check.status for check in result.checks} == {"pass"}
    (mine,) = result.capacities
    assert (mine.name, mine.target, mine.arrivals) == ("mine", "local", "poisson")
    assert mine.cpu_limit is not None
    assert (mine.cpu_limit.means == "cpu-set") == ((os.cpu_count() or 1) > 1)


def test_the_suites_run_in_a_users_repository(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--pyargs", "seatrial_suites", "--target", "inprocess")

    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(tmp_path)
    assert (run.verdict, run.exit_code) == ("pass", 0)
    assert run.targets["inprocess"].metrics["golden_right"] == run.model.cases
    (path,) = (tmp_path / "seatrial-results").glob("*/records.jsonl")
    assert {json.loads(line)["kind"] for line in path.read_text().splitlines()} == {
        "check",
        "phase",
        "deployment",
        "plan",
    }


def test_a_smaller_profile_asks_less(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--pyargs", "seatrial_suites", "--target", "inprocess", "--seatrial-profile", "smoke")

    assert done.returncode == 0, done.stdout + done.stderr
    asked = {check.id for check in read_run(tmp_path).targets["inprocess"].checks}
    assert "R01" in asked
    assert "L07" not in asked


def test_under_xdist_each_target_is_deployed_once_and_its_records_arrive(tmp_path: Path) -> None:
    write_toy(tmp_path)
    arguments = ["-p", "toy_plugin", "-n", "2", "--dist", "loadgroup", "--target", "toy,inprocess", *STANDARD]

    done = run_pytest(tmp_path, "--pyargs", "seatrial_suites", str(tmp_path), *arguments)

    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(tmp_path)
    assert run.leftovers == ()
    assert (tmp_path / "seatrial-results" / run.run_id / "logs" / "deployed").read_text() == "x"
    assert [len(result.deployments) for result in run.targets.values()] == [1, 1]
    assert all(result.metrics["golden_right"] for result in run.targets.values())


def test_a_check_is_asked_only_over_its_wires(tmp_path: Path) -> None:
    """Of `inprocess` the wire is known before it is deployed; the toy's only afterwards."""
    write_toy(tmp_path)
    (tmp_path / "test_wires.py").write_text(WIRES)

    done = run_pytest(tmp_path, "-p", "toy_plugin", "--target", "inprocess,toy", "test_wires.py")

    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(tmp_path)
    for name in ("inprocess", "toy"):
        found = {check.id: (check.status, check.message) for check in run.targets[name].checks}
        assert found["A01"][0] == "unsupported"
        assert f"A01 is asked over http, http-events; {name} is asked over frame" in found["A01"][1]
        assert found["A02"] == ("pass", "")
    log_dir = tmp_path / "seatrial-results" / run.run_id / "logs"
    assert (log_dir / "deployed").read_text() == "x"


def test_what_a_deployment_turns_out_to_have_nothing_for_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(NOTHING_FOR_IT)

    done = run_pytest(tmp_path, "--target", "inprocess", "test_mine.py")

    assert done.returncode == 1, done.stdout + done.stderr
    found = {check.id: (check.status, check.message) for check in read_run(tmp_path).targets["inprocess"].checks}
    assert found["A01"][0] == "unsupported"
    assert "nothing to look with" in found["A01"][1]
    # Before it is asked, nothing has been seen of a deployment.
    assert found["A02"][0] == "error"


def test_a_sixth_technology_is_one_registration(tmp_path: Path) -> None:
    write_toy(tmp_path)

    done = run_pytest(
        tmp_path, "-p", "toy_plugin", "--target", "toy", "--pyargs", "seatrial_suites", "test_mine.py", *STANDARD
    )

    assert done.returncode == 0, done.stdout + done.stderr
    result = read_run(tmp_path).targets["toy"]
    assert result.status == "pass"
    assert result.metrics["golden_right"] == result.metrics["golden_cases"]
    unsupported = {check.id for check in result.checks if check.status == "unsupported"}
    assert {"R06", "L07", "O03", "O04", "L03", "F05", "X05"} <= unsupported


@pytest.mark.parametrize(
    ("targets", "environ", "returncode", "verdict"),
    [
        ("inprocess,toy", {}, 1, "partial"),
        ("all,!docker,!kubernetes,!sagemaker,!mlflow,!gradio,!local", {}, 0, "partial"),
        ("all,!docker,!kubernetes,!sagemaker,!mlflow,!gradio,!local", {"CI": "1"}, 1, "partial"),
        ("!docker,!kubernetes,!sagemaker,!mlflow,!gradio,!local,!inprocess", {}, 5, "error"),
    ],
    ids=["named", "under all", "in CI", "nothing ran"],
)
def test_what_a_target_lacks(
    tmp_path: Path, targets: str, environ: dict[str, str], returncode: int, verdict: str
) -> None:
    write_toy(tmp_path)
    lacks = ["-p", "toy_plugin", "--seatrial-set", "targets.toy.lacks=true"]

    done = run_pytest(tmp_path, *lacks, "--target", targets, "--pyargs", "seatrial_suites", **environ)

    assert done.returncode == returncode, done.stdout + done.stderr
    run = read_run(tmp_path)
    assert run.verdict == verdict
    assert run.targets["toy"].not_run[0].fix == "buy one"
    assert "toy not run: toy box: looked under the bed. To get it: buy one" in done.stdout


def test_a_deployment_that_fails_is_an_error_with_its_fix(tmp_path: Path) -> None:
    write_toy(tmp_path)
    breaks = ["-p", "toy_plugin", "--seatrial-set", "targets.toy.breaks=true"]

    done = run_pytest(tmp_path, *breaks, "--target", "toy,inprocess", "--pyargs", "seatrial_suites")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert run.targets["toy"].errors[0].message == "the toy broke\nFix: glue it"
    (same,) = (check for check in run.targets["inprocess"].checks if check.id == "R02")
    assert same.status == "not-run"
    assert "fewer than two targets answered" in same.message
    assert run.targets["inprocess"].status == "partial"


def test_a_wrong_answer_is_a_failure_with_the_evidence(tmp_path: Path) -> None:
    """Red on purpose: the golden answer of one case is changed under the deployment's hands."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def seatrial_model(seatrial_models):\n"
        "    model = seatrial_models[0]\n"
        "    model.cases[3].outputs['answer'][...] += 1\n"
        "    return model\n"
    )
    (tmp_path / "test_again.py").write_text("from seatrial_suites.conformance.test_correctness import *\n")

    done = run_pytest(tmp_path, "--target", "inprocess", "test_again.py", "-k", "golden")

    run = read_run(tmp_path)
    assert (done.returncode, run.verdict, run.exit_code) == (1, "fail", 1)
    (check,) = run.targets["inprocess"].checks
    assert (check.id, check.status, check.facts["right"]) == ("R01", "fail", run.model.cases - 1)
    assert "case-004: output answer: 1 of 1 elements wrong" in check.message


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--target", "dokcer"], "there is no target 'dokcer'. Did you mean 'docker'"),
        (["--target", "local", "--seatrial-model", "digist"], "there is no model 'digist'. Did you mean 'digits'"),
        (["--target", "local", "--seatrial-set", "targets.local.prot=1"], "Did you mean 'port'"),
    ],
    ids=["target", "model", "setting"],
)
def test_a_wrong_name_is_one_sentence(tmp_path: Path, arguments: list[str], wanted: str) -> None:
    (tmp_path / "test_mine.py").write_text(ASK)

    done = run_pytest(tmp_path, *arguments)

    assert done.returncode == 4, done.stdout + done.stderr
    assert wanted.removesuffix("'") in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_another_owner_of_the_short_option_is_respected(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--target')\n")
    (tmp_path / "test_mine.py").write_text(ASK)

    done = run_pytest(tmp_path, "-p", "other", "--seatrial-target", "inprocess", "--target", "theirs")

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_conftest_that_owns_the_short_option_is_respected(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--target')\n")
    (tmp_path / "test_mine.py").write_text(ASK)

    done = run_pytest(tmp_path, "--seatrial-target", "inprocess", "--target", "theirs")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dist", ["loadscope", "loadfile", "worksteal", "load"])
def test_no_way_of_distributing_asks_what_was_taken_down(tmp_path: Path, dist: str) -> None:
    (tmp_path / "test_mine.py").write_text(ASK)
    (tmp_path / "test_too.py").write_text(ASK)

    done = run_pytest(tmp_path, "-n", "2", "--dist", dist, "--target", "inprocess,local")

    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(tmp_path)
    assert run.verdict == "pass"
    assert [len(result.deployments) for result in run.targets.values()] == [1, 1]


def test_an_interrupted_session_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK + "\ndef test_second(seatrial_deployment):\n    raise KeyboardInterrupt\n"
    )

    done = run_pytest(tmp_path, "--target", "inprocess")

    run = read_run(tmp_path)
    assert done.returncode == 2
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert "it was interrupted, so not everything was asked" in run.causes


def test_a_worker_that_dies_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK
        + "\ndef test_second(seatrial_deployment):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = run_pytest(tmp_path, "-n", "1", "--max-worker-restart", "0", "--target", "inprocess")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.exit_code) == ("error", 6)
    assert (
        "the worker crashed while it ran test_mine.py::test_second[inprocess]"
        in run.targets["inprocess"].errors[0].message
    )


def test_a_test_of_the_model_alone_counts_and_numpy_figures_are_kept(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import numpy as np\n"
        "def test_model(seatrial_model, seatrial_facts):\n"
        "    seatrial_facts.update(n=np.int64(3), m=np.float32(0.5), a=np.array([1, 2]))\n"
    )

    done = run_pytest(tmp_path, "--target", "inprocess")

    assert done.returncode == 0, done.stdout + done.stderr
    (check,) = read_run(tmp_path).targets["inprocess"].checks
    assert check.facts == {"n": 3, "m": 0.5, "a": [1, 2]}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("KeyError('memory')", "KeyError: 'memory'"),
        ("__import__('seatrial.errors').errors.InfrastructureError('no engine')", "no engine"),
    ],
    ids=["a bug", "nobody to ask"],
)
def test_a_target_that_breaks_as_it_goes_is_taken_down_and_told(tmp_path: Path, error: str, told: str) -> None:
    write_toy(tmp_path)
    text = (tmp_path / "toy_plugin.py").read_text()
    (tmp_path / "toy_plugin.py").write_text(text.replace("return Usage()", f"raise {error}"))

    done = run_pytest(tmp_path, "-p", "toy_plugin", "--target", "toy")

    run = read_run(tmp_path)
    assert done.returncode == 1
    assert (run.verdict, run.leftovers) == ("error", ())
    assert f"its facts cannot be read: {told}" in run.targets["toy"].errors[0].message


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_cannot_be_written_down_is_not_asked(tmp_path: Path, workers: tuple[str, ...]) -> None:
    write_toy(tmp_path)
    (tmp_path / "test_mine.py").write_text(UNWRITABLE)

    done = run_pytest(tmp_path, "-p", "toy_plugin", "--target", "toy,inprocess", *workers)

    assert done.returncode == 3, done.stdout + done.stderr
    assert "records.jsonl cannot be written" in done.stdout
    assert "nothing more is asked" in done.stdout
    # A worker may have been given more of a target's tests already when its first one ends, and none of the next target's.
    assert int(re.search(r"\b(\d+) passed", done.stdout)[1]) in (range(1, 5) if workers else [1])  # type: ignore[index]


def test_killed_it_keeps_its_records_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        ASK
        + "\ndef test_never_ends(seatrial_deployment):\n    import time\n    print('here', flush=True)\n    time.sleep(60)\n"
    )
    argv = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "--target", "inprocess"]
    with subprocess.Popen(argv, cwd=tmp_path, env=make_environ(tmp_path), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        while "here" not in (line := parent.stdout.readline()):
            assert line, "it ended before the second test"
        (directory,) = (tmp_path / "seatrial-results").iterdir()
        assert _list_marked(directory.name)
        parent.send_signal(signal.SIGKILL)

    deadline_s = time.monotonic() + 15.0
    while _list_marked(directory.name):
        assert time.monotonic() < deadline_s, "processes of the trial outlived it"
        time.sleep(0.1)
    kinds = {json.loads(line)["kind"] for line in (directory / "records.jsonl").read_text().splitlines()}
    assert "phase" in kinds, "what it had recorded is lost"


def _list_marked(run_id: str) -> list[int]:
    """Pids of the processes that carry the trial's marker."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"SEATRIAL_TRIAL={run_id}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
