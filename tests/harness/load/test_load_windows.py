"""The timed window: begun when told, ended when told, and what is sent on either side of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seatrial.load.arrivals import Constant
from seatrial.load.driver import Pacer, PacerRun
from seatrial.load.measuring import measure_load
from seatrial.load.plan import Destination, Done, Plan, Progress
from seatrial.load.result import LoadResult
from seatrial.load.samples import Outcome, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.validity import find_flaws
from seatrial.load.window import find_window
from seatrial_fixtures.specimens.behaviour import Behaviour, Fixed
from seatrial_fixtures.specimens.process import serve as serve_specimen

Serve = Callable[..., int]
SECOND_NS = 1_000_000_000
RATE = 50.0
MOST_RUNS = 30
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


def run_told(
    port: int,
    directory: Path,
    order: Callable[[Pacer, Progress], None],
    *,
    mode: str = "open",
    warm_up_s: float = 30.0,
    duration_s: float = 2.0,
) -> PacerRun:
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=port),
        requests=(REQUEST,),
        cases=(0,),
        mode="closed" if mode == "closed" else "open",
        users=2 if mode == "closed" else 0,
        think_s=0.01,
        duration_s=duration_s,
        warm_up_s=warm_up_s,
        timeout_s=5.0,
    )
    offsets = make_schedule(Constant(rate=RATE), duration_s=duration_s, seed=1).offsets_ns
    warm_up = make_schedule(Constant(rate=RATE), duration_s=max(warm_up_s, 0.1), seed=1).offsets_ns
    is_open = mode == "open"
    with Pacer(
        plan, offsets if is_open else None, directory, warm_up_ns=warm_up if is_open and warm_up_s else None
    ) as pacer:
        ready = pacer.wait_ready()
        done = pacer.run(time.monotonic_ns() + SECOND_NS // 10, lambda progress: order(pacer, progress))
    return PacerRun(plan=plan, ready=ready, done=done, samples=read_samples(directory / "samples.bin"))


def measure_until(
    is_enough: Callable[[LoadResult], bool], behaviour: Behaviour, directory: Path, *, rate: float
) -> list[LoadResult]:
    """Make runs of a second until one is enough: of a busy machine most may be none."""
    results: list[LoadResult] = []
    with serve_specimen(behaviour) as specimen:
        plan = Plan(
            destination=specimen.destination,
            requests=(specimen.make_request(0),),
            cases=(0,),
            mode="open",
            duration_s=1.0,
            timeout_s=5.0,
            connections=2,
            max_connections=8,
        )
        while len(results) < MOST_RUNS and not (results and is_enough(results[-1])):
            schedule = make_schedule(Constant(rate=rate), duration_s=1.0, seed=1)
            (directory / str(len(results))).mkdir()
            results.append(measure_load(plan, schedule, directory=directory / str(len(results))))
    return results


def test_a_run_of_a_machine_that_lets_it_is_valid(tmp_path: Path) -> None:
    results = measure_until(lambda result: result.valid, Behaviour(service=Fixed(seconds=0.02)), tmp_path, rate=50.0)

    assert results[-1].valid, [reason.message for result in results for reason in result.reasons]
    assert not results[-1].saturated
    assert 0.02 <= (results[-1].response_time_s.p50 or 0) < 0.2


def test_a_server_that_falls_behind_is_saturated_and_its_times_stand(tmp_path: Path) -> None:
    """It holds each of eight connections, and more are due."""
    behaviour = Behaviour(service=Fixed(seconds=0.02), workers=1)

    results = measure_until(lambda result: result.valid, behaviour, tmp_path, rate=200.0)

    assert results[-1].valid, [reason.message for result in results for reason in result.reasons]
    assert [reason.code for reason in results[-1].reasons] == ["saturated"]
    assert (results[-1].response_time_s.max or 0) > 1.0


def begin_soon(pacer: Pacer, progress: Progress) -> None:
    if progress.elapsed_s < 1.5:
        pacer.begin_window(time.monotonic_ns() + SECOND_NS // 5)


def begin_late(pacer: Pacer, progress: Progress) -> None:
    """As if the word had been a second on its way."""
    if progress.elapsed_s < 1.5:
        pacer.begin_window(time.monotonic_ns() - SECOND_NS)


def end_now(pacer: Pacer, progress: Progress) -> None:
    if progress.elapsed_s < 1.5:
        pacer.end_window()


def split(samples: Samples) -> tuple[Samples, Samples]:
    ordered = np.sort(samples, order="intended_ns")
    return ordered[ordered["phase"] == 1], ordered[ordered["phase"] == 0]


@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize("tell", [begin_soon, begin_late])
def test_a_warm_up_ends_when_told_and_the_window_is_whole(
    serve: Serve, tmp_path: Path, tell: Callable[[Pacer, Progress], None], mode: str
) -> None:
    run = run_told(serve("echo"), tmp_path, tell, mode=mode)
    warm_up, window = split(run.samples)
    done = run.done

    assert 0.5 < (done.window_begin_ns - done.start_ns) / 1e9 < 10.0, "long before the 30 s that it may last"
    assert done.window_end_ns - done.window_begin_ns == 2 * SECOND_NS
    assert warm_up["intended_ns"].max() < done.window_begin_ns <= window["intended_ns"].min()
    assert done.sent == done.scheduled == len(run.samples)
    assert {Outcome(value) for value in run.samples["outcome"]} == {Outcome.ANSWERED}
    if mode == "open":
        assert (window["intended_ns"] - done.window_begin_ns).tolist() == [k * 20_000_000 for k in range(100)]
    counted, recorded = done.in_flight_area_ns, int((window["last_ns"] - window["sent_ns"]).sum())
    assert abs(counted - recorded) < 0.5 * recorded + 20_000 * len(window), "the gauge counts the window alone"


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_what_a_client_uses_is_told_of_the_window_without_its_drain(serve: Serve, tmp_path: Path, mode: str) -> None:
    run = run_told(serve("stall"), tmp_path, lambda *_: None, mode=mode, warm_up_s=0.3, duration_s=0.5)
    done = run.done

    assert done.end_ns - done.window_end_ns > 3 * SECOND_NS, "nothing is answered, and given up after five seconds"
    assert done.window_begin_ns <= done.measured_from_ns < done.measured_until_ns < done.end_ns - SECOND_NS
    assert done.window_end_ns <= done.measured_until_ns
    assert done.window_s == (done.measured_until_ns - done.measured_from_ns) / 1e9
    assert 0.0 < done.drain_cpu_s < done.cpu_s
    assert done.drain_cpu_s + done.warm_up_cpu_s + done.window_cpu_s == pytest.approx(done.cpu_s)
    assert 0.0 < done.window_cpu_s <= 1.1 * done.window_s
    assert done.window_waited_s is None or 0.0 <= done.window_waited_s <= 1.1 * done.window_s


def test_a_warm_up_that_nothing_ends_lasts_as_long_as_it_may(serve: Serve, tmp_path: Path) -> None:
    run = run_told(serve("echo"), tmp_path, lambda _pacer, _progress: None, warm_up_s=0.5)
    warm_up, window = split(run.samples)

    assert run.done.window_begin_ns - run.done.start_ns == SECOND_NS // 2
    assert (len(warm_up), len(window)) == (25, 100)
    assert run.done.window_begin_ns <= run.done.measured_from_ns < run.done.window_end_ns
    assert 0.0 < run.done.warm_up_cpu_s < run.done.cpu_s
    assert 0.0 <= run.done.warm_up_spun_s <= run.done.spun_s


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_a_window_ends_when_told_and_that_is_no_flaw(serve: Serve, tmp_path: Path, mode: str) -> None:
    run = run_told(serve("delay", 0.05), tmp_path, end_now, mode=mode, warm_up_s=0.0, duration_s=30.0)

    assert 0.5 < find_window(run).length_ns / 1e9 < 15.0
    assert run.done.stopped == ""
    assert (run.samples["intended_ns"] <= run.done.window_end_ns).all()
    assert {Outcome(value) for value in run.samples["outcome"]} == {Outcome.ANSWERED}, "what was pending is waited for"
    assert run.done.scheduled == len(run.samples)
    codes = {reason.code for reason in find_flaws(run)}
    assert not codes & {"interrupted", "stopped", "missing-sends", "littles-law"}


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_a_run_that_is_stopped_waits_for_nothing_and_says_so(serve: Serve, tmp_path: Path, mode: str) -> None:
    """Unlike the end of a window: what is pending is told as such, and the run is no measurement."""
    run = run_told(serve("stall"), tmp_path, lambda pacer, _: pacer.stop(), mode=mode, warm_up_s=0.0, duration_s=30.0)

    assert run.done.stopped == "told to stop"
    assert run.done.end_ns - run.done.start_ns < 15 * SECOND_NS
    sent = run.samples[run.samples["sent_ns"] >= 0]
    assert run.done.sent == len(sent) > 0
    assert Outcome.CENSORED in sent["outcome"]
    assert "interrupted" in {reason.code for reason in find_flaws(run)}


def test_orders_that_come_too_late_change_nothing(serve: Serve, tmp_path: Path) -> None:
    def order(pacer: Pacer, _: Progress) -> None:
        pacer.begin_window(time.monotonic_ns() + SECOND_NS)

    done: Done = run_told(serve("echo"), tmp_path, order, warm_up_s=0.0).done

    assert done.window_begin_ns == done.start_ns
    assert done.scheduled == 100


def test_samples_can_be_read_while_they_come(serve: Serve, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look(_: Pacer, progress: Progress) -> None:
        seen.append((progress.ended, len(read_samples(tmp_path / "samples.bin"))))

    run_told(serve("echo"), tmp_path, look, warm_up_s=0.0)

    assert len(seen) >= 2
    assert all(on_disk >= ended for ended, on_disk in seen)
