"""Trials over the HTTP specimens, a family at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.records import CheckRecord
from seatrial_fixtures.wrong.catalogue import load_families

MODELS = {"protocol-v2": "every_datatype:model"}
QUIET = {"pass", "unsupported"}
AskSpecimen = Callable[[str], dict[str, CheckRecord]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `specimen` every name of a family."""
    if "specimen" in metafunc.fixturenames:
        metafunc.parametrize("specimen", list(load_families()[metafunc.cls.family]))


@pytest.fixture(scope="module")
def ask_specimen(tmp_path_factory: pytest.TempPathFactory) -> AskSpecimen:
    """The checks of a specimen, by id; one trial over its whole family."""
    families = load_families()

    @cache
    def ask_family(family: str) -> dict[str, dict[str, CheckRecord]]:
        return run_suite(tmp_path_factory.mktemp(family), list(families[family]), MODELS.get(family, "nonce"))

    def ask_one(name: str) -> dict[str, CheckRecord]:
        return ask_family(next(family for family, members in families.items() if name in members))[name]

    return ask_one


@pytest.fixture
def assert_trips(ask_specimen: AskSpecimen) -> Callable[[str], None]:
    """Assert that a specimen trips the checks that it says, for the reason that it says, and no other."""
    specimens = {name: each for family in load_families().values() for name, each in family.items()}

    def assert_one(name: str) -> None:
        checks, specimen = ask_specimen(name), specimens[name]
        loud = {check.id: (check.status, check.message) for check in checks.values() if check.status not in QUIET}
        assert {check_id: status for check_id, (status, _) in loud.items()} == dict.fromkeys(specimen.trips, "fail"), (
            loud
        )
        assert not specimen.trips or any(specimen.words in checks[each].message for each in specimen.trips), loud
        assert "pass" in {check.status for check in checks.values()}

    return assert_one


def run_suite(directory: Path, names: list[str], model: str) -> dict[str, dict[str, CheckRecord]]:
    chosen = ["--target", ",".join(names), "--seatrial-profile", "standard", "--seatrial-suite", "conformance"]
    wrong = ["-p", "wrong_servers", "--pyargs", "seatrial_suites"]
    done = run_pytest(directory, *wrong, *chosen, paths=[Path(__file__).parent], model=model, timeout_s=400)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    run = read_run(directory)
    assert run.leftovers == ()
    return {name: {check.id: check for check in result.checks} for name, result in run.targets.items()}
