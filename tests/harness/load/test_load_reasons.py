"""Reasons why a run is no measurement: each has a run on which it stands, and one on which not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from drawn_runs import CALM, MS, START_NS, change, draw_queue, make_run
from seatrial.load.analysis import analyse
from seatrial.load.checking import Checked
from seatrial.load.driver import PacerRun
from seatrial.load.machine import MachineUse
from seatrial.load.result import LoadResult
from seatrial.load.samples import Outcome, Samples

LATE = CALM.copy()
LATE["sent_ns"][::50] += 30 * MS
A_LITTLE_LATE = CALM.copy()
A_LITTLE_LATE["sent_ns"][::200] += 30 * MS
CONNECTING = LATE.copy()
CONNECTING["connect_ns"][::50] = 30 * MS


def codes(run: PacerRun, **options: Any) -> list[str]:
    return [reason.code for reason in analyse(run, **options).reasons]


@pytest.mark.parametrize(
    ("samples", "done", "code"),
    [
        (LATE, {}, "late-sends"),
        (change(CALM, "outcome", 0.1, Outcome.UNSENT), {}, "missing-sends"),
        (CALM, {"scheduled": len(CALM) + 3}, "missing-sends"),
        (CALM, {"exhausted": "connections"}, "connections-exhausted"),
        (CALM, {"exhausted": "ports"}, "ports-exhausted"),
        (CALM, {"loop_lag_ns": (80 * MS,) * 20 + (0,) * 180}, "client-saturated"),
        (CALM, {"spun_s": 0.5}, "client-saturated"),
        (CALM, {"in_flight_area_ns": 10**9}, "littles-law"),
        (CALM, {"clock_step_ns": -3 * MS}, "clock-step"),
        (CALM, {"stopped": "told to stop"}, "interrupted"),
        (CALM, {"stopped": "20 requests in a row failed"}, "stopped"),
    ],
)
def test_a_run_that_is_no_measurement_has_no_figures(samples: Samples, done: dict[str, Any], code: str) -> None:
    result = analyse(make_run(samples, done=done))

    assert not result.valid
    assert code in [reason.code for reason in result.reasons]
    assert all(reason.message and reason.fix for reason in result.reasons)
    assert result.response_time_s.p50 is None
    assert result.service_time_s.max is None
    assert result.requests == len(samples)


@pytest.mark.parametrize(("unchecked", "found"), [(1, ["unchecked-answers"]), (0, [])])
def test_answers_that_were_not_compared_make_a_run_no_measurement(unchecked: int, found: list[str]) -> None:
    checked = Checked(right=len(CALM) - unchecked, wrong=0, refused=0, mixed_up=0, unchecked=unchecked, examples=())

    assert codes(make_run(CALM), checked=checked) == found


@pytest.mark.parametrize(
    ("done", "machine", "signs"),
    [
        ({"loop_lag_ns": (8 * MS,) * 200}, {}, ("lag",)),
        ({"loop_lag_ns": (80 * MS,) * 20 + (0,) * 180}, {}, ("stalls",)),
        ({"spun_s": 0.5}, {}, ("busy",)),
        ({"window_waited_s": 18.0}, {}, ("waiting",)),
        ({}, {"steal_share": 0.2}, ("steal",)),
        ({}, {"steal_worst_share": 0.21}, ("steal-of-a-second",)),
        ({"spun_s": 0.5, "window_waited_s": 3.0}, {"steal_share": 0.2}, ("busy", "waiting", "steal")),
    ],
)
def test_what_shows_that_the_client_could_not_measure_has_names(
    done: dict[str, Any], machine: dict[str, float], signs: tuple[str, ...]
) -> None:
    """So that who measures the client itself, which works all the time then, knows that it was nothing else."""
    (reason,) = analyse(make_run(CALM, done=done), machine=MachineUse(**machine)).reasons

    assert (reason.code, reason.signs) == ("client-saturated", signs)
    assert msgspec.json.decode(msgspec.json.encode(reason), type=type(reason)) == reason


@pytest.mark.parametrize(
    ("mode", "stopped", "told"),
    [("closed", "told to stop", False), ("closed", "", True), ("open", "told to stop", True), ("open", "", True)],
)
def test_the_rate_of_a_closed_loop_is_a_figure_and_withheld_like_times(mode: str, stopped: str, told: bool) -> None:
    """In an open loop it is how much of the schedule came back. What was sent can be seen in any case."""
    result = analyse(make_run(CALM, done={"stopped": stopped}, mode=mode), scheduled=100.0 if mode == "open" else None)

    assert result.valid is not bool(stopped)
    assert (result.rate.achieved is not None) is told
    assert (result.requests, result.outcomes, result.duration_s) == (len(CALM), {"answered": len(CALM)}, 20.0)


def test_a_quiet_warm_up_hides_no_want_of_cpu() -> None:
    """Over both the client worked 25 % of the time, in the window 95 %."""
    minute_s = 60.0
    before = {"start_ns": START_NS - int(minute_s * 1e9), "measured_from_ns": START_NS, "warm_up_cpu_s": minute_s}
    spun = {"warm_up_spun_s": minute_s - 1.0}
    window = {"cpu_s": minute_s + 20.0, "spun_s": minute_s - 1.0 + 1.0}

    assert codes(make_run(CALM, done={**before, **spun, **window})) == ["client-saturated"]
    assert codes(make_run(CALM, done={**before, **spun, **window, "spun_s": minute_s - 1.0 + 16.0})) == []


@pytest.mark.parametrize(
    ("use", "signs"),
    [
        # In a window of 20 s, with a drain of 200 s that it did nothing in.
        ({"cpu_s": 20.5, "spun_s": 1.0, "drain_cpu_s": 0.5}, ("busy",)),
        ({"cpu_s": 16.5, "spun_s": 1.0, "drain_cpu_s": 0.5, "window_waited_s": 4.0}, ("waiting",)),
        # In the drain alone, or as little of the whole as of the window.
        ({"cpu_s": 24.0, "spun_s": 1.0, "drain_cpu_s": 14.0}, ()),
        ({"cpu_s": 24.0, "spun_s": 15.0, "drain_cpu_s": 14.0, "drain_spun_s": 14.0}, ()),
        ({"cpu_s": 10.0, "spun_s": 1.0, "window_waited_s": 0.24}, ()),
    ],
)
def test_a_drain_makes_no_client_look_busier_or_idler(use: dict[str, Any], signs: tuple[str, ...]) -> None:
    window_end_ns = START_NS + 20 * 10**9
    done = {"measured_until_ns": window_end_ns, "end_ns": window_end_ns + 200 * 10**9, **use}

    reasons = analyse(make_run(CALM, done=done)).reasons

    assert [each.signs for each in reasons] == ([signs] if signs else [])


def test_time_that_the_hypervisor_took_is_no_measurement() -> None:
    assert codes(make_run(CALM), machine=MachineUse(steal_share=0.2)) == ["client-saturated"]
    assert codes(make_run(CALM), machine=MachineUse(steal_share=0.01)) == []


def test_one_second_that_the_hypervisor_took_is_not_hidden_by_a_long_run() -> None:
    def take(worst: float) -> LoadResult:
        return analyse(make_run(CALM), machine=MachineUse(steal_share=0.02, steal_worst_share=worst))

    assert take(0.2).valid
    result = take(0.21)
    assert [reason.code for reason in result.reasons] == ["client-saturated"]
    assert "took 21% of the CPU time of one second, 20% are allowed" in result.reasons[0].message
    assert result.client["steal_worst_share"] == 0.21


def make_quick(*, lag_us: int, reading_us: int) -> Samples:
    """Return samples of answers in 0.2 ms, of a client that takes so long to send what is due and to read what came."""
    samples = CALM.copy()
    samples["sent_ns"] = samples["intended_ns"] + lag_us * 1000
    samples["last_ns"] = samples["sent_ns"] + 200_000
    samples["first_ns"] = samples["last_ns"] - reading_us * 1000
    return samples


def count_apart(samples: Samples, apart_us: int) -> dict[str, Any]:
    """Return what a gauge shows that counts each request so much longer than its record tells."""
    return {"in_flight_area_ns": int((samples["last_ns"] - samples["sent_ns"] + apart_us * 1000).sum())}


@pytest.mark.parametrize(
    ("lag_us", "reading_us", "waited_s", "apart_us", "agrees"),
    [
        (5, 5, 0.0, 19, True),
        (5, 5, 0.0, 30, False),
        (5, 5, 0.0, -30, False),
        # Of a client with cold caches, which takes its time for everything.
        (40, 35, 0.0, 50, True),
        (40, 35, 0.0, 60, False),
        # One alone says nothing of it: sends that wait for a loop, answers in pieces.
        (900, 5, 0.0, 30, False),
        (5, 150, 0.0, 30, False),
        # Of one that waits for a CPU, while it spins, as long again as it has one.
        (15, 15, 20.0, 50, True),
        (15, 15, 20.0, 80, False),
        # However slow it is.
        (200, 100, 0.0, 150, False),
    ],
)
def test_gauge_and_records_may_be_as_far_apart_as_this_client_takes_for_some_instructions(
    lag_us: int, reading_us: int, waited_s: float, apart_us: int, agrees: bool
) -> None:
    samples = make_quick(lag_us=lag_us, reading_us=reading_us)
    run = make_run(
        samples, done={**count_apart(samples, apart_us), "spun_s": 18.0 + waited_s, "window_waited_s": waited_s}
    )

    assert codes(run) == ([] if agrees else ["littles-law"])


@pytest.mark.parametrize(("reasked", "agrees"), [(0, False), (1, False), (len(CALM), True)])
def test_opening_connections_explains_as_much_as_requests_that_were_asked_again(reasked: int, agrees: bool) -> None:
    """One stale connection says nothing of how long the others of a run took to open."""
    samples = make_quick(lag_us=5, reading_us=5)
    samples["connect_ns"] = 150_000
    run = make_run(samples, done={**count_apart(samples, -100), "spun_s": 18.0, "reasked": reasked})

    assert codes(run) == ([] if agrees else ["littles-law"])


@pytest.mark.parametrize(("reasked", "agrees"), [(0, False), (1, True)])
def test_a_request_that_a_stale_connection_lost_is_not_in_flight_while_another_is_opened(
    reasked: int, agrees: bool
) -> None:
    samples = make_quick(lag_us=5, reading_us=5)
    done = {**count_apart(samples, 0), "spun_s": 18.0, "reasked": reasked}
    samples["connect_ns"][9] = 3 * 10**9
    samples["last_ns"][9] += 3 * 10**9
    samples["first_ns"][9] += 3 * 10**9

    assert codes(make_run(samples, done=done)) == ([] if agrees else ["littles-law"])


WAITING = {"cpu_s": 19.0, "spun_s": 10.0, "window_waited_s": 3.0}
CROWD = MachineUse(runnable=6, cpus=2)


@pytest.mark.parametrize(
    ("samples", "machine", "done", "plan", "found"),
    [
        # It waited 3 of 22 s that it was awake, of which it was at work for 12: 8 % of the time.
        (A_LITTLE_LATE, CROWD, WAITING, {}, True),
        # Nobody waits for such sends: in a closed loop the wait itself is the harm.
        (CALM, CROWD, WAITING, {"mode": "closed"}, True),
        # All was sent in time, whoever else was there.
        (CALM, CROWD, WAITING, {}, False),
        # As many as there are CPUs, the one that reads and the one that spins left out.
        (A_LITTLE_LATE, MachineUse(runnable=3, cpus=2), WAITING, {}, False),
        (A_LITTLE_LATE, MachineUse(runnable=6, cpus=8), WAITING, {}, False),
        # A crowd that it comes before.
        (A_LITTLE_LATE, MachineUse(runnable=60, cpus=2), {**WAITING, "window_waited_s": 0.1}, {}, False),
        # It waits while it spins, and nothing is due then.
        (A_LITTLE_LATE, CROWD, {**WAITING, "cpu_s": 17.0, "spun_s": 19.0}, {}, False),
        (A_LITTLE_LATE, MachineUse(), WAITING, {}, False),
        # So long that it needs no other sign.
        (CALM, MachineUse(), {**WAITING, "window_waited_s": 8.0}, {}, True),
        # It spun by the clock, and had a CPU for half of that time.
        (CALM, MachineUse(), {"cpu_s": 8.0, "spun_s": 12.0, "window_waited_s": 10.0}, {}, True),
    ],
)
def test_a_client_that_waits_for_a_cpu_among_many_is_saturated(
    samples: Samples, machine: MachineUse, done: dict[str, Any], plan: dict[str, Any], found: bool
) -> None:
    reasons = analyse(make_run(samples, done=done, **plan), machine=machine).reasons

    assert [reason.code for reason in reasons] == (["client-saturated"] if found else [])
    if found and machine is CROWD:
        assert reasons[0].signs == ("crowd",)
        assert "4 processes wanted one of 2 CPUs in the median, it waited 8% of the window" in reasons[0].message


@pytest.mark.parametrize("samples", [CALM, A_LITTLE_LATE, CONNECTING, draw_queue(0.7), draw_queue(0.5, stall_s=1.0)])
def test_a_good_run_has_figures_and_no_reasons(samples: Samples) -> None:
    result = analyse(make_run(samples))

    assert (result.valid, result.saturated, result.reasons) == (True, False, ())
    assert (
        result.response_time_s.p99
        == np.quantile(samples["last_ns"] - samples["intended_ns"], 0.99, method="inverted_cdf") / 1e9
    )
