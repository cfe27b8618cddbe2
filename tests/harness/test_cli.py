"""The command line: what it prints, what it returns, and that bad input is one sentence."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from pytest_sessions import read_run, run_pytest, run_seatrial

COMMANDS = (
    "run",
    "build",
    "doctor",
    "provision",
    "clean",
    "targets",
    "models",
    "config",
    "schema",
    "explain",
    "report",
    "check",
    "load",
    "calibrate",
    "test",
)


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = run_seatrial(tmp_path, "--help")

    assert done.returncode == 0
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)
    assert "4 a requirement is unmet" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = run_seatrial(tmp_path, command, "--help")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 4


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['seatrial', '--help']\n"
        "from seatrial.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'msgspec', 'pytest', 'docker', 'h11', 'orjson', 'rich.console'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_a_run_prints_its_table_and_writes_a_run_json_of_the_published_schema(tmp_path: Path) -> None:
    done = run_seatrial(tmp_path, "run", "--target", "inprocess", "--model", "nonce", "--profile", "smoke")

    assert done.returncode == 0, done.stderr
    assert "runs the code of seatrial_fixtures.models.nonce:model (bundled)" in done.stderr.splitlines()[0]
    run = read_run(tmp_path)
    row = next(line for line in done.stdout.splitlines() if line.startswith("inprocess"))
    assert row.split()[1:3] == ["pass", f"{run.model.cases}/{run.model.cases}"]
    assert f"report: {tmp_path / 'seatrial-results' / run.run_id / 'report.html'}" in done.stdout
    schema = json.loads(run_seatrial(tmp_path, "schema").stdout)
    jsonschema.validate(json.loads((tmp_path / "seatrial-results" / run.run_id / "run.json").read_text()), schema)


def test_quiet_is_only_the_summary(tmp_path: Path) -> None:
    done = run_seatrial(tmp_path, "run", "-q", "--target", "inprocess", "--model", "nonce", "--profile", "smoke")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("target ")


def test_the_users_own_pytest_settings_play_no_part_in_run(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not for you')\n")

    done = run_seatrial(tmp_path, "run", "--target", "inprocess", "--model", "nonce", "--profile", "smoke")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (["run", "--target", "dokcer"], 2, "there is no target 'dokcer'. Did you mean 'docker'"),
        (["run", "--model", "digist"], 2, "there is no model 'digist'. Did you mean 'digits'"),
        (["run", "--set", "targets.local.prot=1"], 2, "Did you mean 'port'"),
        (["run", "--set", "nonsense"], 2, "is not NAME=VALUE"),
        (["run", "--profile", "huge"], 2, "profile"),
        (["run", "--no-such-option"], 2, "No such option"),
        (["run", "--target", "url"], 4, "no address given"),
        (["run", "--model", "no_such_package.model:model", "--target", "inprocess"], 2, "no_such_package"),
        (["report", "."], 2, "has no run.json"),
        (["test"], 2, "tests a checkout"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_sentence_with_its_exit_code(
    tmp_path: Path, arguments: list[str], code: int, wanted: str
) -> None:
    done = run_seatrial(tmp_path, *arguments)

    assert done.returncode == code, done.stdout + done.stderr
    assert wanted in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_already_runs_is_asked_by_address(tmp_path: Path) -> None:
    from seatrial.model_child import main as build

    models = tmp_path / "models"
    models.mkdir()
    argv = [sys.executable, "-m", "seatrial.model_child", "python", "seatrial_fixtures.models.nonce:model", str(models)]
    assert build is not None
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    socket = tmp_path / "socket"
    floor = [
        sys.executable,
        "-m",
        "seatrial_fixtures.floor",
        "--model",
        str(models / "nonce-1"),
        "--socket",
        str(socket),
    ]
    with subprocess.Popen(floor, stderr=subprocess.DEVNULL) as server:
        try:
            address = ["--set", f"targets.url.address=unix:{socket}", "--set", "targets.url.wire=frame"]
            done = run_seatrial(tmp_path, "run", "--target", "url", "--model", str(models / "nonce-1"), *address)
        finally:
            server.terminate()

    assert done.returncode == 0, done.stderr
    assert read_run(tmp_path).targets["url"].fidelity.absent == ("its deployment and its life",)


def test_doctor_says_what_is_lacking_and_strict_makes_it_red(tmp_path: Path) -> None:
    done = run_seatrial(tmp_path, "doctor", "--target", "local,url", "--strict")

    assert done.returncode == 4
    assert "local: ready" in done.stdout
    assert "missing  address: no address given" in done.stdout
    assert "to get it: set targets.url.address" in done.stdout
    facts = json.loads(run_seatrial(tmp_path, "doctor", "--target", "url", "--json").stdout)
    assert facts["targets"]["url"][0]["found"] is False


def test_config_shows_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial]\nseed = 5\n")

    rows = json.loads(run_seatrial(tmp_path, "config", "--json", SEATRIAL_MODEL="text").stdout)

    by_name = {row["name"]: (row["value"], row["source"]) for row in rows}
    assert by_name["seed"] == (5, str(tmp_path / "pyproject.toml"))
    assert by_name["model"] == ("text", "SEATRIAL_MODEL")
    assert by_name["profile"][1] == "default"


def test_targets_and_models_are_listed(tmp_path: Path) -> None:
    targets = {row["name"]: row for row in json.loads(run_seatrial(tmp_path, "targets", "--json").stdout)}

    assert set(targets) >= {"docker", "kubernetes", "sagemaker", "mlflow", "gradio", "local", "inprocess", "url"}
    assert "update" in targets["docker"]["capabilities"]
    assert "digits" in run_seatrial(tmp_path, "models").stdout


def test_a_check_is_explained_with_a_command_that_asks_it_alone(tmp_path: Path) -> None:
    done = run_seatrial(tmp_path, "explain", "b01")
    command = shlex.split(done.stdout.splitlines()[-1].removeprefix("alone"))

    assert "A body that is empty, cut off or no JSON is refused" in done.stdout
    assert command[0] == "pytest"
    asked = ["inprocess" if word == "NAME" else word for word in command[1:]]
    alone = run_pytest(tmp_path, *asked, "--seatrial-model", "nonce", model="", timeout_s=120)
    assert alone.returncode == 0, alone.stdout
    (check,) = read_run(tmp_path).targets["inprocess"].checks
    assert (check.id, check.status) == ("B01", "pass")
    assert check.reproduce == " ".join(["pytest", *asked])


def test_every_check_is_listed_and_a_wrong_id_is_said(tmp_path: Path) -> None:
    rows = json.loads(run_seatrial(tmp_path, "explain", "--json").stdout)
    wrong = run_seatrial(tmp_path, "explain", "R1")

    assert {row["id"] for row in rows} >= {"R01", "B01", "L03", "P01", "P07"}
    assert all(row["sentence"] and row["source"] and row["level"] in {"MUST", "SHOULD", "MAY"} for row in rows)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no check 'R1'. Did you mean 'R01'?" in wrong.stderr


def test_reports_can_be_written_again(tmp_path: Path) -> None:
    run_seatrial(tmp_path, "run", "--target", "inprocess", "--model", "nonce", "--profile", "smoke")
    (directory,) = (tmp_path / "seatrial-results").iterdir()
    (directory / "report.html").unlink()

    done = run_seatrial(tmp_path, "report", str(directory))

    assert done.returncode == 0
    assert (directory / "report.html").is_file()


def test_a_built_model_directory_is_a_model(tmp_path: Path) -> None:
    built = run_seatrial(tmp_path, "build", "nonce", "models")
    again = run_seatrial(tmp_path, "build", "nonce", "models")

    assert built.returncode == 0, built.stderr
    assert [line.split()[1:3] for line in built.stdout.splitlines()] == [["nonce", "1,"], ["nonce", "2,"]]
    assert again.returncode == 2
    assert "is not an empty directory" in again.stderr
    arguments = ["--target", "inprocess", "--profile", "smoke", "--model", "models/nonce-2"]
    done = run_seatrial(tmp_path, "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert read_run(tmp_path).model.version == "2"


def test_without_an_engine_the_rest_runs_and_the_way_to_get_it_is_said(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path / 'nowhere.sock'}", "SEATRIAL_MODEL": "nonce"}
    rest = "all,!kubernetes,!sagemaker,!mlflow,!gradio,!local"

    done = run_seatrial(tmp_path, "run", "--target", rest, "--profile", "smoke", **nowhere)
    named = run_seatrial(tmp_path, "run", "--target", "docker", "--out", "named", **nowhere)

    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path)
    assert (run.verdict, run.environment.docker) == ("partial", "")
    assert run.targets["inprocess"].status == "partial"  # With nobody to compare it with, R02 was not run.
    assert run.targets["docker"].status == "not-run"
    assert "docker not run: " in done.stdout
    assert "seatrial provision" in done.stdout
    assert named.returncode == 4
    assert "Traceback" not in named.stderr
