"""Rows of the load table: which runs they count, by the verdict of each, and what they take for met."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from seatrial.load.analysis import NO_FIGURES
from seatrial.load.plan import SAMPLES_FILE, Done, Plan, Ready
from seatrial.load.result import Lag, LoadResult, Rate, Reason
from seatrial.load.samples import NO_ANSWER, SAMPLE, read_samples
from seatrial.load.specimen import SERVED
from seatrial_fixtures.specimens.behaviour import Behaviour
from seatrial_fixtures.specimens.process import serve

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.mark.parametrize(
    ("valid", "repeats", "met"), [(5, 5, True), (4, 5, True), (3, 5, False), (1, 1, True), (0, 1, False)]
)
def test_dispatch_lag_is_met_by_the_runs_that_it_is_a_median_of(valid: int, repeats: int, met: bool) -> None:
    from load_table.lag import RATES, judge

    run = {"p50": 3e-6, "p99": 80e-6, "max": 1e-3, "growth": 0.0, "free_p99": 78e-6, "held_up": 0.001}
    slow, quick = judge({RATES[0]: [run] * valid, RATES[1]: [run] * repeats}, repeats)

    assert (slow.met, quick.met) == (met, True)
    assert f"of {repeats}" in slow.reached
    assert [each.met for each in judge({RATES[0]: [run] * repeats, RATES[1]: [run] * valid}, repeats)] == [True, met]


@pytest.mark.parametrize(
    ("valid", "repeats", "met"), [(5, 5, True), (4, 5, True), (3, 5, False), (1, 1, True), (0, 1, False)]
)
def test_one_worker_is_met_by_as_many_runs(valid: int, repeats: int, met: bool) -> None:
    from load_table.one_worker import Errors, judge

    near = np.full(1000, 500_000)
    run = Errors(lindley_ns=near, own_log_ns=near, server_late_ns=near, held_up=np.zeros(1000, np.bool_))
    reading = judge("M/D/1", 0.5, [run] * valid, repeats)

    assert reading.met is met
    assert f"of {repeats}" in reading.reached


def weigh(*peaks_mb: float, flawed: int = 0) -> Any:
    from load_table.memory import Weighed, judge_peaks

    weighed = [Weighed(peak_bytes=round(peak * 1e6)) for peak in peaks_mb]
    return judge_peaks([*weighed, *[Weighed(peak_bytes=0, flaw="nobody saw the pacer")] * flawed], 30.0)


def test_the_memory_of_a_pacer_that_did_not_carry_the_load_is_not_weighed() -> None:
    assert weigh(47.0, 48.0, 47.5).met
    assert not weigh(61.0, 48.0, 62.0).met
    assert weigh(47.0, 48.0, flawed=1).reached == (
        "47.5 MB (median of 2 runs); 1 of 3 could not measure and are left out (nobody saw the pacer)"
    )
    assert weigh(47.0, flawed=2).met is None
    assert weigh(flawed=1).reached.startswith("not measured: 1 of 1 could not measure")


@pytest.mark.parametrize(
    ("codes", "flaw"),
    [
        ((), "nobody saw the pacer"),
        (("late-sends", "client-saturated"), "nobody saw the pacer"),
        (("late-sends", "missing-sends"), "missing-sends: found"),
        (("stopped",), "stopped: found"),
    ],
)
def test_a_pacer_carried_the_load_however_late_if_it_made_all_sends(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[str, ...], flaw: str
) -> None:
    from load_table import memory
    from load_table.running import Measured

    result = make_result(*[Reason(code=code, message="found", fix="") for code in codes])
    run = Measured(
        result=result, samples=np.empty(0, SAMPLE), served=np.empty(0, SERVED), offsets_ns=np.empty(0, np.int64)
    )
    monkeypatch.setattr(memory, "measure", lambda *_, **__: run)

    assert memory.weigh_pacer(1.0, 1) == (0, flaw)


def make_result(*reasons: Reason, answered: int = 800, valid: bool | None = None) -> LoadResult:
    return LoadResult(
        mode="closed",
        valid=not reasons if valid is None else valid,
        saturated=False,
        reasons=reasons,
        requests=answered,
        errors=0,
        wrong=0,
        censored=0,
        rate=Rate(requested=None, scheduled=None, achieved=None),
        response_time_s=NO_FIGURES,
        service_time_s=NO_FIGURES,
        failure_time_s=NO_FIGURES,
        dispatch_lag_s=Lag(p50=None, p99=None, max=None),
        duration_s=8.0,
        outcomes={"answered": answered},
    )


BUSY = Reason(code="client-saturated", message="it worked 99 %", fix="", signs=("busy",))
ROBBED = Reason(code="client-saturated", message="it worked 99 %; stolen", fix="", signs=("busy", "steal"))
STEPPED = Reason(code="clock-step", message="the clock was set", fix="")
LATE = Reason(code="late-sends", message="3 of 100 were sent late", fix="")


@pytest.mark.parametrize(
    ("reasons", "met", "reached"),
    [
        ((LATE, BUSY), True, "found in 2 of 2"),
        ((LATE,), False, "found in 0 of 2; missed: late-sends, late by up to 0.000 s; missed: late-sends,"),
        ((), False, "found in 0 of 2; missed: valid, late"),
    ],
    ids=["saturated", "late alone", "valid"],
)
def test_a_saturated_client_is_found_by_that_reason_alone(
    reasons: tuple[Reason, ...], met: bool, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from load_table import saturation
    from load_table.row import Options

    seeded = SimpleNamespace(result=make_result(*reasons))
    monkeypatch.setattr(saturation, "SEEDED", {"a way": lambda: seeded})
    reading = next(iter(saturation.measure_saturation(Options(quick=True, repeats=2))))

    assert reading.met is met
    assert reading.reached.startswith(reached)


@pytest.mark.parametrize(
    ("reasons", "was_busy", "flaw"),
    [
        ((), False, ""),
        ((BUSY,), True, ""),
        ((ROBBED,), False, "client-saturated: it worked 99 %; stolen"),
        ((BUSY, STEPPED), True, "clock-step: the clock was set"),
    ],
)
def test_that_the_client_was_busy_is_all_that_its_throughput_may_be_invalid_for(
    reasons: tuple[Reason, ...], was_busy: bool, flaw: str
) -> None:
    from load_table.clients import read_ours

    assert read_ours(make_result(*reasons)) == (100.0, was_busy, flaw)


def test_wrk_sends_what_the_command_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from load_table import clients
    from seatrial.load.address import compose_request, resolve

    monkeypatch.setattr(clients.shutil, "which", lambda _name: "wrk")
    monkeypatch.setattr(clients, "_run", lambda *_: "Requests/sec: 7.5")
    run = clients.run_wrk(clients.Loop("http://127.0.0.1:1/", 2, 1.0, 0, tmp_path))

    sent = compose_request(resolve("http://127.0.0.1:1/"), method="", headers=(), body=clients.BODY.encode()).decode()
    script = (tmp_path / "post.lua").read_text()
    told = dict(re.findall(r"wrk\.headers\['(.+)'\] = '(.+)'", script))
    assert run == clients.Run(7.5)
    assert f"wrk.body = '{clients.BODY}'" in script
    assert told.keys() == {"User-Agent", "Accept", "Content-Type"}
    assert all(f"\r\n{name}: {value}\r\n" in sent for name, value in told.items())


def make_rounds(*ours: Any, wrk: float | None = 100.0) -> dict[int, list[dict[str, Any]]]:
    from load_table.clients import Run
    from load_table.throughput import CROWDS

    rounds = [{"seatrial": run, **({} if wrk is None else {"wrk": Run(wrk * (1 + k))})} for k, run in enumerate(ours)]
    return dict.fromkeys(CROWDS, rounds)


def test_throughput_is_compared_over_the_rounds_in_which_the_client_could_measure() -> None:
    from load_table.clients import Run
    from load_table.throughput import compare

    busy, robbed = Run(95.0, was_busy=True), Run(1000.0, flaw="client-saturated: stolen")
    few, many, fast, remark = compare(make_rounds(busy, robbed), "on a network")

    assert (few.met, many.met, fast.met, remark.met) == (True, True, None, None)
    assert many.reached.startswith("0.95 times: 95/s to 100/s (medians of 1, in turn, on a network; ")
    assert (
        "in 1 of 1 the client was busy all the time, which is what this row compares; "
        "1 of 2 could not measure and are left out (client-saturated: stolen)"
    ) in many.reached
    assert fast.reached == "not installed: pip install 'seatrial[load]'"
    assert [each.met for each in compare(make_rounds(Run(85.0, was_busy=True)), "")] == [False, False, None, None]


def test_each_crowd_is_compared_by_itself_and_of_the_smaller_one_fast_http_user_is_a_remark() -> None:
    from load_table.clients import Run
    from load_table.throughput import compare

    rounds = {
        users: [{"seatrial": Run(ours), "wrk": Run(100.0), "locust FastHttpUser": Run(10.0)}]
        for users, ours in ((32, 120.0), (512, 150.0))
    }
    told = {reading.bound: reading for reading in compare(rounds, "")}

    assert [(bound, reading.figures["ratio"]) for bound, reading in told.items()] == [
        ("wrk-32", 1.2),
        ("wrk-512", 1.5),
        ("FastHttpUser-512", 15.0),
        ("FastHttpUser-32", 12.0),
    ]
    assert [reading.met for reading in told.values()] == [True, True, True, None]
    assert [bound for bound, reading in told.items() if reading.is_remark] == ["FastHttpUser-32"]
    rounds[512] = [{**rounds[512][0], "seatrial": Run(149.0)}]
    assert [reading.met for reading in compare(rounds, "")] == [True, True, False, None]


def test_throughput_of_which_two_rounds_are_no_measurement_is_not_measured() -> None:
    from load_table.clients import Run
    from load_table.throughput import compare

    robbed = Run(1000.0, flaw="client-saturated: stolen")
    wrk, *_ = compare(make_rounds(Run(95.0), robbed, robbed), "")

    assert wrk.met is None
    assert wrk.reached == "not measured: 2 of 3 could not measure and are left out (client-saturated: stolen)"
    lacking = next(each.reached for each in compare(make_rounds(robbed, wrk=None), ""))
    assert lacking == "not installed: apt-get install wrk"


def make_loops(*rates: float, flaw: str = "") -> list[Any]:
    from load_table.checking_cost import Loop

    return [Loop(rate=rate, cpu_s=1 / rate, flaw=flaw) for rate in rates]


def test_checking_that_costs_a_twentieth_of_the_rate_is_a_miss() -> None:
    from load_table.checking_cost import compare

    cheap = compare(make_loops(96.0, 50.0, 97.0), make_loops(100.0, 100.0, 101.0))

    assert cheap.met
    assert cheap.reached.startswith(
        "4.0%, the median of 3 pairs in turn by the second (4.0% to 50.0%), with medians of 96/s with and 100/s without; "
    )
    assert not compare(make_loops(95.0, 95.0, 99.0), make_loops(100.0, 100.0, 100.0)).met


def test_slices_make_a_loop_in_which_each_request_counts_once() -> None:
    from load_table.checking_cost import Loop, join_slices

    slices = [Loop(rate=300.0, cpu_s=1.0), Loop(rate=100.0, cpu_s=3.0)]

    assert join_slices(slices) == Loop(rate=200.0, cpu_s=1.5)
    assert join_slices([*slices, Loop(rate=1.0, cpu_s=1.0, flaw="stopped")]).flaw == "stopped"


def test_of_a_pair_one_of_which_is_no_loop_to_compare_nothing_is_told() -> None:
    from load_table.checking_cost import compare

    broken = make_loops(10.0, flaw="stopped: it ended before its time")
    one = compare(make_loops(96.0, 96.0) + broken, make_loops(100.0, 100.0, 100.0))
    two = compare(make_loops(96.0, 96.0) + broken, broken + make_loops(100.0, 100.0))

    assert one.met
    assert one.reached.startswith(
        "4.0%, the median of 2 pairs in turn by the second (4.0% to 4.0%), with medians of 96/s with and 100/s without"
    )
    assert one.reached.endswith("; 1 of 3 could not measure and are left out (stopped: it ended before its time)")
    assert two.met is None
    assert two.reached.startswith("not measured: 2 of 3 could not measure")


@pytest.mark.skipif(shutil.which("taskset") is None, reason="the loop is kept to a CPU by it")
def test_a_loop_is_no_loop_to_compare_for_any_reason_but_that_its_client_is_saturated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from load_table import checking_cost

    def run_pacer(argv: Sequence[str], plan: Plan) -> tuple[Ready, Done]:
        ready, done = run(argv, plan)
        return ready, msgspec.structs.replace(done, clock_step_ns=5_000_000, loop_lag_ns=(80_000_000,) * 20)

    run = checking_cost.run_pacer
    monkeypatch.setattr(checking_cost, "run_pacer", run_pacer)
    with serve(Behaviour()) as specimen:
        questions = checking_cost.make_questions(specimen.url)
        loop = checking_cost.run_loop(questions, 0.3, min(os.sched_getaffinity(0)), checks=False)

    assert "clock-step: the wall clock was set by 5.0 ms" in loop.flaw
    assert "client-saturated" not in loop.flaw


@pytest.mark.parametrize(("cost_s", "met"), [(0.00049, True), (0.00051, False)])
def test_a_check_timed_alone_is_held_against_what_a_request_takes_this_machine(cost_s: float, met: bool) -> None:
    from load_table.checking_cost import compare_alone

    reading = compare_alone([cost_s] * 3, make_loops(100.0, 90.0, 110.0))
    broken = make_loops(100.0, 100.0, flaw="stopped: it ended before its time")

    assert reading.met is met
    assert reading.reached.endswith("ns an answer, of 10000.00 us a request (medians of 3 and 3, in turn)")
    assert compare_alone([cost_s] * 3, make_loops(100.0) + broken).met is None


@pytest.mark.parametrize(("cpu_s", "met"), [(1.04, True), (1.06, False)])
def test_where_neighbours_had_the_cpu_the_cost_is_what_checking_took_of_it(cpu_s: float, met: bool) -> None:
    """Pairs that differ so much say nothing by their rates, be they good or bad."""
    from load_table.checking_cost import Loop, compare

    rates = (120.0, 90.0, 60.0) if met else (120.0, 110.0, 90.0)
    loops = [Loop(rate=rate, cpu_s=cpu_s) for rate in rates]

    assert compare(loops, [Loop(rate=100.0, cpu_s=1.0)] * 3).met is met


@pytest.mark.skipif(shutil.which("taskset") is None, reason="the loops are kept to a CPU by it")
def test_one_loop_tells_answers_apart_and_the_other_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from load_table import checking_cost

    def run_pacer(argv: Sequence[str], plan: Plan) -> tuple[Ready, Done]:
        said = run(argv, plan)
        kept.append({case: set() for case in plan.cases})
        for sample in read_samples(Path(argv[-1]) / SAMPLES_FILE):
            kept[-1][int(sample["case"])].add(int(sample["answer"]))
        return said

    kept: list[dict[int, set[int]]] = []
    run = checking_cost.run_pacer
    monkeypatch.setattr(checking_cost, "run_pacer", run_pacer)
    with serve(Behaviour()) as specimen:
        questions = checking_cost.make_questions(specimen.url)
        cpu = min(os.sched_getaffinity(0))
        # The specimen's answers are not those of the table's cases.
        with pytest.raises(SystemExit, match="nginx's answers are not right"):
            checking_cost.run_loop(questions, 0.3, cpu, checks=True)
        checking_cost.run_loop(questions, 0.3, cpu, checks=False)

    checked, unchecked = kept
    assert len(set.union(*checked.values())) == len(checked)
    assert set.union(*unchecked.values()) == {NO_ANSWER}
