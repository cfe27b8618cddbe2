"""The benchmark suite over specimens: wrong answers under load are found, whether or not the machine is fit to measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest
from seatrial.records import TargetResult

WRONG = ("slips", "mixes-up", "caches")
SLOW = "slow"
FIT = {"pass", "invalid"}
"""What a check says of a right server here: of a machine that others use it may well be that nothing can be measured on it."""


def measure(
    directory: Path, names: tuple[str, ...], profile: str = "standard", *options: str, **environ: str
) -> dict[str, TargetResult]:
    """One trial that puts load on specimens; at least one of them is wrong."""
    chosen = ["--target", ",".join(names), "--seatrial-profile", profile, "--seatrial-suite", "benchmark", *options]
    wrong = ["-p", "wrong_targets", "--pyargs", "seatrial_suites"]
    done = run_pytest(directory, *wrong, *chosen, paths=[Path(__file__).parent], timeout_s=300, **environ)
    # 5: all that was asked was skipped, as what is no measurement is.
    assert done.returncode in {0, 1, 5}, done.stdout + done.stderr
    run = read_run(directory)
    assert run.leftovers == ()
    assert (run.calibration is not None) == (profile != "smoke" and "SEATRIAL_CALIBRATE" not in environ)
    if run.calibration is not None:
        # On a busy machine it may be that no floor was found: then it says so.
        assert run.calibration.valid == (run.calibration.noise_floor_p50_s is not None)
        assert len(run.calibration.specimens) == (6 if profile == "nightly" else 3)
    return dict(run.targets)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TargetResult]:
    return measure(tmp_path_factory.mktemp("load"), ("right", SLOW, *WRONG))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TargetResult]:
    """The same with objectives, which the one cannot miss and the other cannot keep."""
    objectives = {"RATE": "60", "DURATION_S": "2", "P95_MS": "30", "ERROR_RATE": "0.01"}
    environ = {f"SEATRIAL_OBJECTIVES_{name}": value for name, value in objectives.items()}
    return measure(tmp_path_factory.mktemp("held"), ("right", SLOW), SEATRIAL_CALIBRATE="false", **environ)


def read_statuses(result: TargetResult) -> dict[str, str]:
    return {check.id: check.status for check in result.checks}


def test_a_right_server_is_right_under_load(measured: dict[str, TargetResult]) -> None:
    result = measured["right"]

    assert {status for check_id, status in read_statuses(result).items() if check_id != "P09"} <= FIT
    for load in result.loads:
        assert load.result.outcomes == {"answered": load.result.requests}
        assert load.result.checked
    assert (result.metrics.get("response_time_p50_s") is not None) == result.loads[-1].result.valid


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_are_counted_whether_or_not_times_are_valid(measured: dict[str, TargetResult], name: str) -> None:
    result = measured[name]

    assert read_statuses(result)["P04"] == "fail"
    for load in result.loads:
        # Each twentieth, some of them before the window; or all but those that ask what was asked first.
        few, many = load.result.requests / 20 - 2, load.result.requests * 0.85
        wrong = load.result.wrong
        assert wrong >= many if name == "caches" else few <= wrong <= few + 4, load.result.outcomes
        assert (load.result.mixed_up > 0) == (name != "slips")
        assert load.result.examples


def test_a_wrong_answer_is_no_answer_to_speak_of_the_times_of(measured: dict[str, TargetResult]) -> None:
    for load in measured["slips"].loads:
        if load.result.valid:
            assert read_statuses(measured["slips"]) == {"P01": "pass", "P04": "fail", "P09": "unsupported"}


def test_a_server_that_cannot_keep_up_is_said_to(measured: dict[str, TargetResult]) -> None:
    result = measured[SLOW]
    status = read_statuses(result)["P01"]

    assert status in {"fail", "invalid"}
    if status == "fail":
        assert "could not keep up" in next(check.message for check in result.checks if check.id == "P01")
        assert result.loads[-1].result.saturated


def test_objectives_are_asked_in_the_smallest_profile_too(tmp_path: Path) -> None:
    environ = {
        "SEATRIAL_OBJECTIVES_RATE": "60",
        "SEATRIAL_OBJECTIVES_DURATION_S": "2",
        "SEATRIAL_OBJECTIVES_P95_MS": "30",
    }

    statuses = read_statuses(measure(tmp_path, ("right",), profile="smoke", **environ)["right"])

    assert statuses.keys() == {"P02"}
    assert statuses["P02"] in FIT


def test_objectives_are_asked_where_there_are_any(
    measured: dict[str, TargetResult], held: dict[str, TargetResult]
) -> None:
    assert "P02" not in read_statuses(measured["right"])
    assert "P02" in read_statuses(held["right"])
    assert read_statuses(held[SLOW])["P02"] in {"fail", "invalid"}


@pytest.mark.parametrize("name", ["right", SLOW])
def test_objectives_decide_as_the_run_was(held: dict[str, TargetResult], name: str) -> None:
    result = held[name].loads[-1].result
    assert result.judgement is not None
    verdicts = {each.name: each.status for each in result.judgement.verdicts}

    assert set(verdicts) == {"p95_ms", "error_rate", "rate"}
    if result.valid and name == SLOW:
        assert read_statuses(held[name])["P02"] == "fail"
        assert result.judgement.status == "missed"
    if not result.valid:
        assert set(verdicts.values()) == {"undecided"}
        assert read_statuses(held[name])["P02"] == "invalid"


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TargetResult]:
    return measure(tmp_path_factory.mktemp("nightly"), ("right", "remembers", "slips"), "nightly")


def test_a_server_that_remembers_answers_is_told_from_one_that_computes(nightly: dict[str, TargetResult]) -> None:
    results = nightly

    assert read_statuses(results["right"])["P07"] in FIT
    remembers = next(check for check in results["remembers"].checks if check.id == "P07")
    assert remembers.status in {"fail", "invalid"}
    assert "for one question" in remembers.message or remembers.status == "invalid"
    loads = [load for load in results["remembers"].loads if load.name == "repeated-input" and load.result.valid]
    assert all(load.cases == 1 for load in loads)
    assert remembers.level == "MAY", "it changes no verdict"


def test_the_highest_rate_is_a_bracket_between_runs_that_were_made(nightly: dict[str, TargetResult]) -> None:
    for result in nightly.values():
        (record,) = result.capacities
        found = record.capacity
        assert found.objectives == "p99 <= 250 ms and errors <= 0.1 %"
        assert [each.rate for each in record.runs] == [rung.rate for rung in found.rungs]
        rates = {status: [rung.rate for rung in found.rungs if rung.status == status] for status in ("kept", "missed")}
        assert found.highest_kept in {None, *rates["kept"]}
        assert found.lowest_missed in {None, *rates["missed"]}
        assert result.metrics["capacity_kept_per_s"] == found.highest_kept
    firsts = [result.capacities[0].runs[0] for result in nightly.values()]
    assert len({(each.rate, each.seed, each.requests) for each in firsts}) == 1, "the same sends for every target"


def test_a_server_that_keeps_no_rate_fails_and_one_that_does_not_is_said_to_take_it(
    nightly: dict[str, TargetResult],
) -> None:
    assert read_statuses(nightly["right"])["P08"] in FIT
    first, *later = nightly["right"].capacities[0].runs
    assert first.warm_up
    assert not any(run.warm_up for run in later)
    assert read_statuses(nightly["slips"])["P08"] in {"fail", "invalid"}
    assert nightly["slips"].capacities[0].capacity.highest_kept is None


def test_a_path_is_held_against_its_floor(tmp_path: Path) -> None:
    names = ("path-costs", "floor-costs", "has-no-floor", "right")
    results = measure(tmp_path, names, "standard", "-k", "test_network_path", SEATRIAL_CALIBRATE="false")
    statuses = {name: read_statuses(result)["P09"] for name, result in results.items()}

    assert statuses["path-costs"] in FIT
    assert statuses["floor-costs"] in {"fail", "invalid"}
    assert statuses["has-no-floor"] == statuses["right"] == "unsupported"
    for name, sign in (("path-costs", 1), ("floor-costs", -1)):
        (floor,) = results[name].floors
        if floor.cost_p50_s is not None:
            assert 0.015 < sign * floor.cost_p50_s < 0.06
            assert (statuses[name] == "fail") == (sign < 0)
