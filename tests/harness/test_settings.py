"""Settings: precedence, provenance, and errors that name the right name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.errors import UsageError
from seatrial.load.objectives import Objectives
from seatrial.registry import find_target
from seatrial.settings import Settings, check_settings, read_settings, runs_in_ci


def write(directory: Path, text: str) -> Path:
    (directory / "pyproject.toml").write_text(text)
    return directory


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, '[tool.seatrial]\nmodel = "text"\nseed = 1\nprofile = "smoke"\n')

    settings = read_settings(tmp_path, {"SEATRIAL_SEED": "2", "SEATRIAL_PROFILE": "nightly"})
    settings = settings.with_given({"profile": "standard"}, "--profile")

    rows = {name: (value, source) for name, value, source in settings.list_all()}
    assert rows["model"] == ("text", str(tmp_path / "pyproject.toml"))
    assert rows["seed"] == (2, "SEATRIAL_SEED")
    assert rows["profile"] == ("standard", "--profile")
    assert rows["keep"] == (False, "default")


def test_the_nearest_file_above_is_read(tmp_path: Path) -> None:
    write(tmp_path, "[tool.seatrial]\nseed = 7\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert read_settings(below, {}).general.seed == 7


def test_a_target_has_its_own_table_and_its_own_variables(tmp_path: Path) -> None:
    write(tmp_path, '[tool.seatrial.targets.url]\naddress = "http://127.0.0.1:1"\nheaders = {Authorization = "x"}\n')

    settings = read_settings(tmp_path, {"SEATRIAL_URL_WIRE": "mlflow"}).for_target(find_target("url"))

    assert (settings.address, settings.wire) == ("http://127.0.0.1:1", "mlflow")
    assert settings.headers == {"Authorization": "x"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[tool.seatrial]\nmodle = 'x'\n", "Did you mean 'model'?"),
        ("[tool.seatrial.targets.dokcer]\nimage = 'x'\n", "Did you mean 'docker'?"),
        ("[tool.seatrial.targets.url]\nadress = 'x'\n", "Did you mean 'address'?"),
        ("[tool.seatrial.objectives]\np99 = 50\n", "there is no setting 'objectives.p99'. Did you mean 'p99_ms'?"),
        ("[tool.seatrial.objektives]\np99_ms = 50\n", "Did you mean 'objectives'?"),
        ("[tool.seatrial]\nobjectives = 50\n", "there is no setting 'objectives'"),
        ("[tool.seatrial.objectives]\np99_ms = 'soon'\n", "objectives has a wrong value"),
        ("[tool.seatrial.objectives]\np99_ms = 0\n", "objectives has a wrong value: Expected `float` > 0"),
        ("[tool.seatrial.objectives]\nerror_rate = 1.5\n", "objectives has a wrong value: Expected `float` < 1"),
        ("[tool.seatrial.objectives]\nrate = inf\n", "objectives has a wrong value: Expected `float` <= 1000000"),
        ("[tool.seatrial.objectives]\nrate = nan\n", "objectives has a wrong value"),
        ("[tool.seatrial.objectives]\narrivals = 'ramp:1-9'\n", "objectives has a wrong value"),
        ("[tool.seatrial.objectives]\narrivals = 'gamma:0'\n", "the shape of gamma arrivals is 0, 0.01 to 1,000,000"),
        ("[tool.seatrial.objectives]\nwarm_up_s = -1\n", "objectives has a wrong value: Expected `float` >= 0"),
        ("[tool.seatrial.objectives.docker]\np99_ms = 50\n", "there is no setting 'objectives.docker'"),
        ("[tool.seatrial]\nseed = 'many'\n", "wrong value"),
        ("[tool.seatrial]\nprofile = 'huge'\n", "wrong value"),
        ("[tool.seatrial\n", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_the_right_name(tmp_path: Path, text: str, wanted: str) -> None:
    write(tmp_path, text)

    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path, {})

    assert wanted in caught.value.message
    assert "pyproject.toml" in caught.value.message


def test_objectives_have_a_table_and_variables_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "[tool.seatrial.objectives]\nrate = 100\np99_ms = 50\nerror_rate = 0.001\n")

    settings = read_settings(tmp_path, {"SEATRIAL_OBJECTIVES_P99_MS": "40"})
    settings = settings.with_given({"objectives.duration_s": "5"}, "--set")

    assert settings.objectives == Objectives(rate=100.0, p99_ms=40.0, error_rate=0.001, duration_s=5.0)
    rows = {name: (value, source) for name, value, source in settings.list_all()}
    assert rows["objectives.p99_ms"] == (40.0, "SEATRIAL_OBJECTIVES_P99_MS")
    assert rows["objectives.rate"] == (100.0, str(tmp_path / "pyproject.toml"))
    assert rows["objectives.p50_ms"] == (None, "default")
    assert rows["objectives.arrivals"] == ("poisson", "default")
    assert len(rows) == len(settings.list_all())


def test_without_objectives_there_are_none(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {}).objectives == Objectives()
    assert not Objectives().given


def test_an_unknown_objective_in_the_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SEATRIAL_OBJECTIVES_P99 is set, .* Did you mean 'objectives_p99_ms'"):
        read_settings(tmp_path, {"SEATRIAL_OBJECTIVES_P99": "40"})


def test_an_objective_that_is_assigned_is_checked() -> None:
    with pytest.raises(UsageError, match="--set: there is no setting 'objectives.p98_ms'. Did you mean"):
        check_settings(Settings().with_given({"objectives.p98_ms": "40"}, "--set"))


def test_reading_settings_does_not_load_numpy() -> None:
    """The plug-in and `--help` read them, and must stay quick."""
    done = subprocess.run(
        [sys.executable, "-c", "import seatrial.settings, sys; print('numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def test_an_unknown_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SEATRIAL_MODLE is set, but there is no such setting. Did you mean 'model'"):
        read_settings(tmp_path, {"SEATRIAL_MODLE": "x"})


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {"PATH": "/bin", "SEATRIAL_TRIAL": "20260101-1"}).given == {}


def test_an_assignment_is_checked_like_the_file() -> None:
    with pytest.raises(UsageError, match="Did you mean 'url'"):
        check_settings(Settings().with_given({"targets.ulr.address": "x"}, "--set"))


def test_a_list_may_come_as_text(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {"SEATRIAL_MLFLOW_ARGS": "--workers 2"})
    settings = settings.with_given({"target": "docker,mlflow"}, "--set target")

    assert settings.general.target == ["docker", "mlflow"]
    assert list(settings.for_target(find_target("mlflow")).args) == ["--workers", "2"]
    as_json = settings.with_given({"targets.mlflow.args": '["--a b"]'}, "--set")
    assert list(as_json.for_target(find_target("mlflow")).args) == ["--a b"]


@pytest.mark.parametrize(
    ("value", "wanted"), [("true", True), ("1", True), ("", False), ("0", False), ("false", False)]
)
def test_ci_may_say_no(value: str, wanted: bool) -> None:
    assert runs_in_ci({"CI": value}) is wanted
    assert runs_in_ci({}) is False
