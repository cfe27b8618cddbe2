"""What a machine can tell apart: the arithmetic on runs that are made up, and one specimen through the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from seatrial.load.calibration import (
    Calibration,
    CalibrationPlan,
    CalibrationRun,
    find_noise_floor,
    is_distinguishable,
    summarize_runs,
)
from seatrial.load.calibration_table import render_calibration

MS = 1e-3
PLAN = CalibrationPlan(specimens=("delay-0ms", "delay-50ms"), repeats=3, duration_s=1.0)


def make_run(name: str, true_ms: float, added_ms: float) -> CalibrationRun:
    return CalibrationRun(
        name=name,
        requests=200,
        p50_s=(true_ms + added_ms) * MS,
        p99_s=(true_ms + 3 * added_ms) * MS,
        true_p50_s=true_ms * MS,
        true_p99_s=true_ms * MS,
        dispatch_lag_p50_s=0.01 * MS,
        dispatch_lag_p99_s=0.1 * MS,
        steal_share=added_ms / 100,
        steal_worst_share=added_ms / 10,
    )


RUNS = [make_run("delay-0ms", 0.1, added) for added in (0.10, 0.12, 0.20)] + [
    make_run("delay-50ms", 50.0, added) for added in (0.20, 0.25, 0.30)
]


def summarize(runs: list[CalibrationRun] = RUNS, invalid: tuple[str, ...] = ()) -> Calibration:
    return summarize_runs(PLAN, runs, invalid, made_at="2030-01-01T00:00:00+00:00")


def test_the_floor_is_what_runs_of_the_same_thing_differ_by() -> None:
    """Of six pairs (20, 100 and 80 us, 50, 100 and 50 us) 95 % are all: 100 us. What two specimens differ by is in no pair."""
    assert find_noise_floor(RUNS, "p50") == pytest.approx(0.1 * MS)
    assert find_noise_floor(RUNS, "p99") == pytest.approx(0.3 * MS)


def test_one_pair_in_many_does_not_make_the_floor() -> None:
    rng = np.random.default_rng(1)
    runs = [make_run("delay-0ms", 0.1, 0.2 + 0.01 * each) for each in rng.random(80)]

    assert find_noise_floor([*runs, make_run("delay-0ms", 0.1, 9.0)], "p50") == pytest.approx(0.0087 * MS, rel=0.2)


def test_without_two_runs_of_a_thing_there_is_no_floor() -> None:
    assert find_noise_floor([RUNS[0], RUNS[-1]], "p50") is None


def test_a_summary_says_what_measuring_adds() -> None:
    calibration = summarize(invalid=("delay-0ms", "delay-0ms"))
    undelayed, slow = calibration.specimens

    assert calibration.valid
    assert (undelayed.runs, undelayed.invalid, slow.invalid) == (3, 2, 0)
    assert undelayed.bias_p50_s == pytest.approx(0.12 * MS)
    assert undelayed.bias_p99_s == pytest.approx(0.36 * MS)
    assert undelayed.spread_p50_s == pytest.approx(0.1 * MS)
    assert undelayed.spread_p50 == pytest.approx(0.1 / 0.22)
    assert calibration.network_p50_s == undelayed.bias_p50_s
    assert calibration.longest_s == slow.p50_s
    assert calibration.steal_share == pytest.approx(0.003)
    assert calibration.steal_worst_share == pytest.approx(0.03)
    assert "at most 0.3% of their time taken by the hypervisor, 3.0% in a second" in render_calibration(calibration)


def test_a_specimen_that_could_not_be_measured_makes_it_invalid() -> None:
    calibration = summarize(RUNS[1:], invalid=("delay-0ms",) * 3)

    assert not calibration.valid
    assert calibration.noise_floor_p50_s is None
    assert not is_distinguishable(0.001, 1.0, calibration)
    assert "INVALID" in render_calibration(calibration)
    assert "2 and 3 invalid" in render_calibration(calibration)


def test_one_run_of_each_is_no_calibration() -> None:
    plan = replace(PLAN, repeats=1)

    assert not summarize_runs(plan, [RUNS[0], RUNS[-1]], (), made_at="").valid


@pytest.mark.parametrize(
    ("a_ms", "b_ms", "quantile", "expected"),
    [
        (10.0, 10.299, "p50", False),
        (10.0, 10.301, "p50", True),
        (10.301, 10.0, "p50", True),
        (10.0, 10.899, "p99", False),
        (10.0, 10.901, "p99", True),
        (10.0, 10.0, "p50", False),
        # Ten times as long as anything that was calibrated: ten times the floor.
        (502.5, 505.4, "p50", False),
        (502.5, 505.6, "p50", True),
        (None, 10.0, "p50", False),
        (10.0, None, "p50", False),
    ],
)
def test_only_three_times_the_floor_is_a_difference(
    a_ms: float | None, b_ms: float | None, quantile: str, expected: bool
) -> None:
    a_s, b_s = (None if each is None else each * MS for each in (a_ms, b_ms))

    assert is_distinguishable(a_s, b_s, summarize(), quantile) is expected


def test_on_a_machine_that_is_unknown_nothing_is_a_difference() -> None:
    assert not is_distinguishable(0.001, 1.0, None)


def test_the_command_calibrates(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    argv = [sys.executable, "-m", "seatrial", "calibrate", "--quick", "--specimen", "delay-1ms", "--json", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    written = json.loads(file.read_bytes())
    calibration = msgspec.convert(written, Calibration)

    assert done.returncode in {0, 7}, done.stderr  # 7: this machine was too busy to measure, and the result says so
    jsonschema.validate(written, msgspec.json.schema(Calibration))
    (figures,) = calibration.specimens
    assert calibration.valid is (done.returncode == 0) is (figures.runs == 3)
    assert figures.runs + figures.invalid >= 3
    assert (calibration.noise_floor_p50_s is not None) is calibration.valid
    assert "delay-1ms, 1 of 3" in done.stderr
    assert done.stdout == render_calibration(calibration)
    if figures.runs:
        assert figures.requests == 200
        assert figures.true_p50_s is not None
        assert figures.bias_p50_s is not None
        assert figures.true_p50_s >= 0.001
        assert figures.bias_p50_s > 0


def test_interrupted_it_is_no_calibration() -> None:
    argv = [sys.executable, "-m", "seatrial", "calibrate", "--specimen", "delay-1ms", "--json", "-"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        assert any("delay-1ms, 1 of 5" in line for line in popen.stderr)
        popen.send_signal(signal.SIGINT)
        stdout, stderr = popen.communicate(timeout=60)

    assert (popen.returncode, stdout) == (130, "")
    assert "interrupted" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--specimen", "delay-1mss"], "there is no specimen 'delay-1mss'. Did you mean 'delay-1ms'"),
        (["--json", "/nowhere/floor.json"], "cannot be written"),
    ],
)
def test_bad_input_is_a_sentence_before_anything_runs(arguments: list[str], words: str) -> None:
    argv = [sys.executable, "-m", "seatrial", "calibrate", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
