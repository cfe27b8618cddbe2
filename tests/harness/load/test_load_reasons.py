"""Reasons why a run is no measurement, and the signs of an overload: each has a run on which it stands, and one on which not."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest

from seatrial.load.analysis import analyse
from seatrial.load.driver import PacerRun
from seatrial.load.machine import MachineUse
from seatrial.load.plan import Destination, Done, Plan, Ready
from seatrial.load.result import LoadResult
from seatrial.load.samples import NEVER, SAMPLE, Outcome, Samples
from seatrial.load.saturation import slows_down

START_NS = 5_000_000_000_000
MS = 1_000_000


def draw_queue(load: float, *, rate: int = 100, seconds: int = 20, stall_s: float = 0.0) -> Samples:
    """Samples of one server with a queue, constant service, Poisson arrivals; it stalls once, in the midst."""
    rng = np.random.default_rng(1)
    intended = np.sort(rng.integers(0, seconds * 10**9, rate * seconds))
    service = round(load * 1e9 / rate)
    free, ends = 0, []
    for each in intended:
        begin = max(int(each), free)
        if stall_s and seconds * 4 * 10**8 < begin < (seconds * 0.4 + stall_s) * 1e9:
            begin = int((seconds * 0.4 + stall_s) * 1e9)
        free = begin + service
        ends.append(free)
    samples = np.zeros(len(intended), SAMPLE)
    samples["intended_ns"] = START_NS + intended
    samples["sent_ns"] = samples["intended_ns"] + 10_000
    samples["last_ns"] = START_NS + np.array(ends) + 20_000
    samples["first_ns"] = samples["last_ns"]
    samples["connect_ns"] = NEVER
    samples["status"] = 200
    return samples


def make_run(samples: Samples, *, seconds: float = 20, done: dict[str, Any] | None = None, **plan: Any) -> PacerRun:
    end_ns = START_NS + int(seconds * 1e9)
    in_flight = np.minimum(samples["last_ns"], end_ns) - samples["sent_ns"]
    area = int(np.maximum(in_flight[samples["sent_ns"] != NEVER], 0).sum())
    told = Done(
        start_ns=START_NS,
        window_begin_ns=START_NS,
        window_end_ns=end_ns,
        end_ns=max(end_ns, int(samples["last_ns"].max())),
        scheduled=len(samples),
        sent=len(samples),
        connections_opened=10,
        in_flight_area_ns=area,
        loop_lag_ns=(MS // 2,) * int(seconds * 10),
        cpu_s=seconds,
        spun_s=seconds * 0.8,
        rss_bytes=50 << 20,
        clock_step_ns=0,
    )
    asked = Plan(
        destination=Destination(host="127.0.0.1", port=1),
        requests=(b"GET / HTTP/1.1\r\n\r\n",),
        cases=(0,),
        mode="open",
        duration_s=seconds,
    )
    return PacerRun(
        plan=msgspec.structs.replace(asked, **plan),
        ready=Ready(pid=1, connections=1, uvloop=""),
        done=msgspec.structs.replace(told, **(done or {})),
        samples=samples,
        answers=(),
    )


def change(samples: Samples, field: str, share: float, value: Any) -> Samples:
    changed = samples.copy()
    changed[field][:: round(1 / share)] = value
    return changed


CALM = draw_queue(0.5)
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


def test_a_server_that_cannot_keep_up_is_saturated_and_its_figures_stand() -> None:
    result = analyse(make_run(draw_queue(1.2)))

    assert (result.valid, result.saturated) == (True, True)
    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.response_time_s.p50 is not None


def test_a_server_that_holds_every_connection_and_falls_behind_is_saturated() -> None:
    waiting = draw_queue(1.2)
    waiting["sent_ns"] = np.maximum(waiting["sent_ns"], waiting["last_ns"] - 300 * MS)

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=25))

    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.response_time_s.p50 is not None


def test_what_tells_a_server_that_falls_behind_is_read_again_and_not_held() -> None:
    """Of ten million requests even two columns would be 160 MB."""
    waiting = np.tile(draw_queue(1.2), 500)
    run = make_run(waiting, done={"exhausted": "connections"}, max_connections=25)
    tracemalloc.start()
    try:
        slows_down(run)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 16 * len(waiting)


def test_a_server_that_takes_its_time_whoever_asks_is_not_said_to_fall_behind() -> None:
    """Requests wait in the client, which has too few connections for them."""
    waiting = draw_queue(1.2)
    waiting["sent_ns"] = waiting["last_ns"] - 300 * MS

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=25))

    assert "connections-exhausted" in [reason.code for reason in result.reasons]
    assert not result.valid


def test_requests_that_never_got_a_connection_do_not_make_others_look_quicker() -> None:
    waiting = draw_queue(1.2)
    unsent = waiting["last_ns"] > START_NS + 15 * 10**9
    waiting["outcome"][unsent], waiting["sent_ns"][unsent] = Outcome.CENSORED, NEVER

    result = analyse(make_run(waiting, done={"exhausted": "connections"}, max_connections=1000))

    assert [reason.code for reason in result.reasons] == ["saturated"]
    assert result.censored == int(unsent.sum()) > len(waiting) / 5
    assert result.response_time_s.p99 is None, "it lies among what was never answered"


def test_failures_have_a_series_of_their_own() -> None:
    """Quick failures do not make answers look quicker: the median of all is one of the slower answers."""
    failing = CALM.copy()
    failing["outcome"][::3] = Outcome.REFUSED
    failing["status"][::3] = 500
    failing["last_ns"][::3] = failing["sent_ns"][::3] + 1000
    result = analyse(make_run(failing))
    rest = np.delete(CALM, np.s_[::3])
    took_ns = np.sort(rest["last_ns"] - rest["intended_ns"])

    assert result.errors == len(CALM[::3])
    assert result.statuses == {"200": len(rest), "500": len(CALM[::3])}
    assert result.response_time_s.p50 == took_ns[len(CALM) // 2 - 1] / 1e9
    assert result.failure_time_s.max is not None
    assert result.failure_time_s.max < 0.001


def test_requests_without_an_end_rank_above_all_answers() -> None:
    pending = change(CALM, "outcome", 0.02, Outcome.CENSORED)
    result = analyse(make_run(pending))

    assert result.censored == len(CALM[::50])
    assert result.response_time_s.p50 is not None
    assert result.response_time_s.p99 is None


def test_warm_up_is_in_no_figure() -> None:
    samples = CALM.copy()
    early = samples["intended_ns"] < START_NS + 5 * 10**9
    samples["phase"][early] = 1
    samples["last_ns"][early] += 10**9
    done = {"window_begin_ns": START_NS + 5 * 10**9, "in_flight_area_ns": 0}
    result = analyse(make_run(samples, warm_up_s=5.0, duration_s=15.0, done=done))

    assert result.requests == int((~early).sum())
    assert result.warm_up_s == 5.0
    assert result.duration_s == 15.0


def test_a_percentile_with_too_few_samples_is_null_and_the_run_stands() -> None:
    result = analyse(make_run(CALM[:15]))

    assert result.valid
    assert result.response_time_s.p50 is not None
    assert result.response_time_s.p95 is None
