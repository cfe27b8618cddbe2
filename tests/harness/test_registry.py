"""The registry: names, `all`, exclusions."""

from __future__ import annotations

import pytest

from seatrial import registry
from seatrial.errors import UsageError
from seatrial.registry import TARGETS_GROUP, choose_targets, find_target, find_wire
from seatrial.trial.trial import choose

SEVEN = {"inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio"}


def test_all_is_the_seven_that_deploy() -> None:
    assert set(choose_targets(["all"])) == SEVEN


def test_names_repeat_take_commas_and_exclude() -> None:
    assert choose_targets(["local,gradio", "local", "docker"]) == ["local", "gradio", "docker"]
    assert set(choose_targets(["all,!kubernetes", "!docker"])) == SEVEN - {"kubernetes", "docker"}
    assert set(choose_targets(["!mlflow"])) == SEVEN - {"mlflow"}


def test_only_what_was_written_out_is_named() -> None:
    choice = choose(["all,docker"], ["local"])

    assert set(choice.targets) == SEVEN
    assert choice.named == ("docker",)
    assert choose([], ["local"]).named == ()


@pytest.mark.parametrize("word", ["dokcer", "!dokcer"])
def test_an_unknown_name_gets_the_nearest(word: str) -> None:
    with pytest.raises(UsageError, match="there is no target 'dokcer'. Did you mean 'docker'"):
        choose_targets([word])


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(UsageError, match="no target is left"):
        choose_targets(["local,!local"])


def test_an_unknown_wire_is_named() -> None:
    with pytest.raises(UsageError, match="there is no wire 'v3'. Did you mean 'v2'"):
        find_wire("v3")


def test_what_is_added_can_be_taken_back() -> None:
    remove = registry.add(TARGETS_GROUP, "toy", lambda: dict)
    assert find_target("toy") == {}
    assert "toy" in choose_targets(["all"])
    remove()
    with pytest.raises(UsageError):
        find_target("toy")


def test_a_target_whose_extra_is_missing_says_how_to_get_it() -> None:
    def load() -> object:
        raise UsageError("x")

    remove = registry.add(TARGETS_GROUP, "toy", load)
    try:
        with pytest.raises(UsageError):
            find_target("toy")
    finally:
        remove()
