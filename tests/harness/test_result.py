"""Verdicts and exit codes, from records alone."""

from __future__ import annotations

import pytest

from seatrial.errors import ExitCode, choose_exit_code
from seatrial.records import (
    CheckRecord,
    CpuLimitRecord,
    DeploymentRecord,
    ErrorRecord,
    FidelityRecord,
    NotRunRecord,
    Record,
    TargetResult,
)
from seatrial.trial.result import Tally, exit_code_of, gather, judge_target, judge_trial


def make_check(status: str, level: str = "MUST", target: str = "local") -> CheckRecord:
    return CheckRecord(target=target, id="R01", title="t", level=level, status=status)


LACK = NotRunRecord(target="docker", name="Docker engine", detail="none answers", fix="seatrial provision")
BROKEN = ErrorRecord(target="local", message="did not come up", exit_code=6)


def make_deployment(limit: CpuLimitRecord | None) -> DeploymentRecord:
    return DeploymentRecord(
        target="local",
        address="http://127.0.0.1:1",
        wire="v2",
        network_path="loopback",
        fidelity=FidelityRecord(real=("all",)),
        phases_s={},
        limits={"cpus": limit.cpus if limit else None, "memory_bytes": 1 << 30},
        cpu_limit=limit,
    )


def judge(
    records: list[Record], *, require: bool = False, named: tuple[str, ...] = (), nightly: bool = False
) -> tuple[str, int, list[str]]:
    targets: dict[str, TargetResult] = {name: judge_target(tally) for name, tally in gather(records).items()}
    verdict, codes, causes = judge_trial(targets, require=require, named=named, nightly=nightly)
    return verdict, exit_code_of(codes), causes


def test_all_passed_is_pass() -> None:
    assert judge([make_check("pass"), make_check("pass", target="mlflow")]) == ("pass", 0, [])


def test_what_lacks_something_makes_it_partial_and_still_exits_0() -> None:
    verdict, code, causes = judge([make_check("pass"), LACK])
    assert (verdict, code, causes) == ("partial", 0, [])


@pytest.mark.parametrize("how", [{"require": True}, {"named": ("docker",)}])
def test_what_must_run_and_cannot_is_exit_4(how: dict[str, object]) -> None:
    verdict, code, causes = judge([make_check("pass"), LACK], **how)
    assert (verdict, code) == ("partial", 4)
    assert causes == ["docker lacks Docker engine: none answers"]


def test_nothing_ran_is_never_green() -> None:
    verdict, code, causes = judge([LACK])
    assert (verdict, code) == ("error", 3)
    assert "nothing ran" in causes


def test_a_trial_over_targets_that_left_no_record_is_not_green() -> None:
    targets = {"local": judge_target(Tally())}
    verdict, codes, _ = judge_trial(targets, require=False, named=())
    assert (verdict, exit_code_of(codes)) == ("error", 3)


def test_a_named_target_of_which_nothing_was_asked_is_not_green() -> None:
    targets = {"docker": judge_target(Tally(checks=[make_check("pass")])), "mlflow": judge_target(Tally())}
    _, codes, causes = judge_trial(targets, require=False, named=("mlflow",))
    assert exit_code_of(codes) == 3
    assert causes == ["mlflow: nothing was asked of it"]


@pytest.mark.parametrize(
    ("status", "level", "verdict", "code"),
    [
        ("fail", "MUST", "fail", 1),
        ("fail", "SHOULD", "fail", 1),
        ("fail", "MAY", "error", 3),
        ("error", "MUST", "error", 6),
        ("invalid", "MUST", "invalid", 0),
        ("expected-failure", "MUST", "pass", 0),
        ("unsupported", "MUST", "error", 3),
    ],
)
def test_one_check_decides(status: str, level: str, verdict: str, code: int) -> None:
    if status == "fail" and level == "MAY":
        verdict, code = "pass", 0
    assert judge([make_check(status, level)])[:2] == (verdict, code)


@pytest.mark.parametrize("how", [{"require": True}, {"nightly": True}])
def test_an_invalid_measurement_is_red_where_one_is_demanded(how: dict[str, bool]) -> None:
    verdict, code, causes = judge([make_check("invalid")], **how)

    assert (verdict, code) == ("invalid", 7)
    assert causes == ["local: R01 t: invalid"]


def test_a_deployment_that_failed_comes_before_a_check_that_failed() -> None:
    verdict, code, causes = judge([BROKEN, make_check("fail", target="mlflow")])
    assert (verdict, code) == ("error", 6)
    assert causes == ["local: did not come up", "mlflow: R01 t: fail"]


def test_exit_codes_are_chosen_in_the_documented_order() -> None:
    order = [2, 4, 6, 3, 1, 7, 5]
    for index, code in enumerate(order):
        assert choose_exit_code([ExitCode(later) for later in reversed(order[index:])]) == code
    assert choose_exit_code([]) == ExitCode.OK


@pytest.mark.parametrize(
    ("limit", "notes"),
    [
        (CpuLimitRecord(means="quota", cpus=1.0, asked=1.0), []),
        (CpuLimitRecord(means="cpu-set", cpus=1.0, cpu_set=(1,), asked=1.0), ["CPU is limited by a set of CPUs"]),
        (CpuLimitRecord(means="none", asked=1.0), ["not comparable by speed: no limit on cpus"]),
        (None, ["not comparable by speed: no limit on cpus"]),
    ],
    ids=["quota", "set", "none", "unread"],
)
def test_a_target_says_by_what_its_cpu_is_limited(limit: CpuLimitRecord | None, notes: list[str]) -> None:
    tally = gather([make_deployment(limit)])["local"]

    found = judge_target(tally).notes

    assert len(found) == len(notes)
    assert all(each.startswith(start) for each, start in zip(found, notes, strict=True))
