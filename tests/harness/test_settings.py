"""Settings: precedence, provenance, and errors that name the right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.errors import UsageError
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
