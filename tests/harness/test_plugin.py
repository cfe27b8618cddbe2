"""The pytest plug-in, as a user's repository sees it: in a directory of its own, with processes of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest
from toy_technology import ASK, write_toy

STANDARD = ("--seatrial-profile", "standard", "--seatrial-suite", "conformance")

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
