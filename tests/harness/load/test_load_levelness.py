"""Response times over a window: a server whose times drift is told from one whose times do not."""

from __future__ import annotations

import runpy
from pathlib import Path

import msgspec
import numpy as np
import pytest

from seatrial import registry
from seatrial.load import levelness
from seatrial.load.analysis import analyse
from seatrial.load.arrivals import Constant
from seatrial.load.driver import PacerRun, run_pacer
from seatrial.load.plan import Destination, Done, Plan, Ready
from seatrial.load.result import LoadResult
from seatrial.load.samples import NEVER, SAMPLE, Outcome, Samples
from seatrial.load.schedules import make_schedule
from seatrial.load.stationarity import judge_window
from seatrial.load.summary import render_load

LAWS = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "measure_warm_up.py"))
draw_around = LAWS["draw_around"]
DRIFTING_LAWS = {
    **LAWS["MOVING_LAWS"],
    **{name: law for name, (law, _) in LAWS["WARMING_LAWS"].items()},
    "quiet rise by a tenth": draw_around(lambda at_s: 1 + 0.1 * at_s / at_s[-1], 0.05),
    "step to 1.3 at the half": draw_around(lambda at_s: np.where(at_s < at_s[-1] / 2, 1.0, 1.3)),
}
SEEDS = 20
BEGIN_NS = 9 * 10**12


def draw(name: str, seed: int, *, rate: int = 300, seconds: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Return when requests ended after the window began, and what they took, nanoseconds."""
    rng = np.random.default_rng([seed, rate])
    at_s = np.sort(rng.random(rate * seconds) * seconds)
    took_s = {**LAWS["LEVEL_LAWS"], **DRIFTING_LAWS}[name](at_s, rng) / 1e3
    return ((at_s + took_s) * 1e9).astype(np.int64), (took_s * 1e9).astype(np.int64)


def make_run(name: str, seed: int = 1, *, seconds: int = 30, **done: object) -> PacerRun:
    ends_ns, took_ns = draw(name, seed, seconds=seconds)
    samples = np.zeros(len(ends_ns), SAMPLE)
    samples["intended_ns"] = samples["sent_ns"] = BEGIN_NS + ends_ns - took_ns
    samples["last_ns"] = samples["first_ns"] = BEGIN_NS + ends_ns
    samples["connect_ns"] = NEVER
    samples = np.sort(samples, order="last_ns")
    end_ns = BEGIN_NS + seconds * 10**9
    told = Done(
        start_ns=BEGIN_NS,
        window_begin_ns=BEGIN_NS,
        window_end_ns=end_ns,
        end_ns=end_ns + 10**9,
        scheduled=len(samples),
        sent=len(samples),
        connections_opened=10,
        in_flight_area_ns=int(np.maximum(np.minimum(samples["last_ns"], end_ns) - samples["sent_ns"], 0).sum()),
        loop_lag_ns=(),
        cpu_s=seconds,
        spun_s=seconds * 0.8,
        rss_bytes=1 << 20,
        clock_step_ns=0,
    )
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=1), requests=(b"",), cases=(0,), mode="open", duration_s=seconds
    )
    return PacerRun(
        plan=plan,
        ready=Ready(pid=1, connections=1, uvloop=""),
        done=msgspec.structs.replace(told, **done),
        samples=samples,
        answers=(),
    )


def read_remarks(result: LoadResult) -> list[str]:
    return [line for line in render_load(result, "http://x/").splitlines() if line.startswith("remark: ")]


@pytest.mark.parametrize("name", LAWS["LEVEL_LAWS"])
def test_level_times_are_level(name: str) -> None:
    """In 19 of 20 seeds at least: those of a long queue rise and fall by themselves."""
    verdicts = [judge_window(*draw(name, seed), elapsed_s=30.0) for seed in range(SEEDS)]

    assert sum(each.stationary is True for each in verdicts) >= SEEDS - 1, [each.message for each in verdicts]


@pytest.mark.parametrize("name", DRIFTING_LAWS)
def test_times_that_change_are_not(name: str) -> None:
    for seed in range(SEEDS):
        verdict = judge_window(*draw(name, seed), elapsed_s=30.0)
        assert verdict.stationary is False
        assert verdict.message.startswith("p50 ")


@pytest.mark.parametrize(("requests", "seconds"), [(0, 30), (99, 30), (1000, 4)])
def test_of_few_requests_or_seconds_nothing_is_said(requests: int, seconds: int) -> None:
    ends_ns = np.linspace(0, seconds * 1e9, requests).astype(np.int64)
    verdict = judge_window(ends_ns, ends_ns // 100, elapsed_s=float(seconds))

    assert verdict.stationary is None
    assert "are needed to tell" in verdict.message


def test_a_short_window_of_times_that_vary_could_hide_a_change() -> None:
    took_ns = np.where(np.arange(300) // 25 % 2, 2_000_000, 4_500_000)
    ends_ns = np.linspace(0, 6e9, 300).astype(np.int64)

    assert judge_window(ends_ns, took_ns, elapsed_s=6.0).stationary is None
    assert judge_window(2 * ends_ns, took_ns, elapsed_s=12.0).stationary is True


def test_a_drift_is_a_remark_and_no_flaw() -> None:
    result = analyse(make_run("leak"))

    assert (result.valid, result.saturated, result.window_stationary) == (True, False, False)
    assert result.response_time_s.p50 is not None
    assert read_remarks(result) == [f"remark: response times were not level over the window: {result.window_course}"]
    assert result.window_course.startswith("p50 rose 3")


def test_of_a_level_window_there_is_no_remark() -> None:
    result = analyse(make_run("lognormal"))

    assert (result.valid, result.window_stationary) == (True, True)
    assert result.window_course.startswith("level from the start, p50 3")
    assert read_remarks(result) == []


def test_of_an_invalid_run_nothing_is_said_of_its_times() -> None:
    result = analyse(make_run("leak", clock_step_ns=10**9))

    assert (result.valid, result.window_stationary, result.window_course) == (False, None, "")
    assert read_remarks(result) == []


@pytest.mark.parametrize(("name", "level"), [("leak", False), ("step after 3 s", False), ("lognormal", True)])
def test_of_very_many_requests_some_are_looked_at(monkeypatch: pytest.MonkeyPatch, name: str, level: bool) -> None:
    run = make_run(name)
    monkeypatch.setattr(levelness, "MOST_LOOKED_AT", 1300)
    monkeypatch.setattr("seatrial.load.blocks.BLOCK", 1000)
    looked_at: list[int] = []

    def judge(ends_ns: np.ndarray, took_ns: np.ndarray, *, elapsed_s: float) -> object:
        looked_at.append(len(ends_ns))
        assert set(zip(ends_ns.tolist(), took_ns.tolist(), strict=True)) <= set(zip(*read(run.samples), strict=True))
        return judge_window(ends_ns, took_ns, elapsed_s=elapsed_s)

    monkeypatch.setattr(levelness, "judge_window", judge)

    assert levelness.judge_levelness(run).stationary is level
    assert looked_at == [len(run.samples) // 7 + 1]


def read(samples: Samples) -> tuple[list[int], list[int]]:
    return (samples["last_ns"] - BEGIN_NS).tolist(), (samples["last_ns"] - samples["intended_ns"]).tolist()


def test_a_server_that_drifts_is_seen_to(tmp_path: Path) -> None:
    """From 5 ms to 11 ms and more in six seconds."""
    schedule = make_schedule(Constant(rate=50), duration_s=6.0, seed=1)
    with registry.find_specimen("drift")() as specimen:
        plan = Plan(
            destination=specimen.destination,
            requests=(specimen.make_request(1),),
            cases=(0,),
            mode="open",
            duration_s=6.0,
        )
        run = run_pacer(plan, schedule.offsets_ns, directory=tmp_path)
    result = analyse(run)

    assert {Outcome(value) for value in run.samples["outcome"]} == {Outcome.ANSWERED}
    assert result.window_stationary is (False if result.valid else None)
    assert levelness.judge_levelness(run).message.startswith("p50 rose")
