"""What a swarm's workers tell, without Locust: tallies and results that add up to one stream's, and workers that are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from seatrial.load.analysis import analyse
from seatrial.load.arrivals import Poisson, Trace
from seatrial.load.driver import PacerRun
from seatrial.load.plan import Destination, Done, Plan, Progress, Ready
from seatrial.load.result import LoadResult, Quantiles, Reason
from seatrial.load.samples import NEVER, SAMPLE, Outcome, Samples
from seatrial.load.slices import slice_responses
from seatrial.load.swarm.collecting import Collection
from seatrial.load.swarm.merging import Part, choose_code, merge_parts
from seatrial.load.swarm.messages import End, Failure, Order, Prepared, Report, encode_law, pack, unpack
from seatrial.load.tally import SERIES, Tally
from seatrial.load.window import Window

START_NS = 5_000_000_000_000
SECONDS = 20
MS = 1_000_000
PLAN = Plan(
    destination=Destination(host="127.0.0.1", port=1),
    requests=(b"GET /path HTTP/1.1\r\n\r\n",),
    cases=(0,),
    mode="open",
    duration_s=SECONDS,
)
WINDOW = Window(begin_ns=START_NS, end_ns=START_NS + SECONDS * 10**9)
ORDER = Order(plan=PLAN, law=encode_law(Poisson(rate=500.0)), requested=500.0)


def draw(count: int = 10_000, seed: int = 1) -> Samples:
    """Samples with every outcome in them, as they would be recorded."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(count, SAMPLE)
    samples["intended_ns"] = START_NS + np.sort(rng.integers(0, SECONDS * 10**9, count))
    samples["sent_ns"] = samples["intended_ns"] + rng.integers(1_000, 50_000, count)
    samples["last_ns"] = samples["sent_ns"] + (rng.lognormal(1.5, 0.5, count) * MS).astype(np.int64)
    samples["first_ns"] = samples["last_ns"]
    samples["connect_ns"] = np.where(rng.random(count) < 0.01, 200_000, NEVER)
    samples["status"] = 200
    shares = [0.996, 0.0, 0.0015, 0.0005, 0.0005, 0.0005, 0.0005, 0.0005, 0.0]
    samples["outcome"] = rng.choice(len(Outcome), count, p=shares)
    samples["status"][samples["outcome"] == Outcome.REFUSED] = 503
    return samples


def make_run(samples: Samples, **done: Any) -> PacerRun:
    end_ns = START_NS + SECONDS * 10**9
    told = Done(
        start_ns=START_NS,
        window_begin_ns=START_NS,
        window_end_ns=end_ns,
        end_ns=int(max(end_ns, samples["last_ns"].max())),
        scheduled=len(samples),
        sent=len(samples),
        connections_opened=10,
        in_flight_area_ns=int(np.maximum(np.minimum(samples["last_ns"], end_ns) - samples["sent_ns"], 0).sum()),
        loop_lag_ns=(MS // 2,) * 10 * SECONDS,
        cpu_s=SECONDS,
        spun_s=SECONDS * 0.8,
        rss_bytes=50 << 20,
        clock_step_ns=0,
    )
    return PacerRun(
        plan=PLAN,
        ready=Ready(pid=1, connections=1, uvloop=""),
        done=msgspec.structs.replace(told, **done),
        samples=samples,
        answers=(),
    )


def measure(samples: Samples, **done: Any) -> LoadResult:
    return analyse(make_run(samples, **done), arrivals="poisson", seed=1, scheduled=len(samples) / SECONDS)


def tally(*parts: Samples) -> Tally:
    whole = Tally()
    for part in parts:
        whole.add(part)
    return whole


def make_parts(samples: Samples, workers: int = 2, **done: Any) -> list[Part]:
    return [
        Part(
            name=f"worker {k + 1}",
            result=measure(samples[k::workers], **done),
            tally=tally(samples[k::workers]),
            slices=slice_responses(samples[k::workers], WINDOW),
        )
        for k in range(workers)
    ]


def end(samples: Samples, worker: int = 0) -> End:
    slices = slice_responses(samples, WINDOW).encode()
    return End(worker=worker, result=measure(samples), tally=tally(samples).encode(), slices=slices)


def assert_near(found: Quantiles, true: Quantiles) -> None:
    for name, value in msgspec.structs.asdict(true).items():
        got = getattr(found, name)
        assert got == (value if value is None else pytest.approx(value, rel=0.001)), name


def test_a_tally_has_the_figures_of_the_analysis() -> None:
    samples = draw()
    found, true = tally(samples), measure(samples)

    assert true.valid
    assert found.requests == true.requests
    assert found.failures == true.requests - true.outcomes["answered"]
    for name, quantiles in (
        ("response", true.response_time_s),
        ("service", true.service_time_s),
        ("failure", true.failure_time_s),
        ("connect", true.connect_time_s),
    ):
        assert quantiles is not None
        assert_near(found.series[name].summarize(), quantiles)
    assert {Outcome(k).name.lower(): n for k, n in found.outcomes.items()} == true.outcomes
    assert {str(status): n for status, n in found.statuses.items()} == true.statuses


def test_tallies_add_up_and_come_through_a_wire() -> None:
    samples = draw()
    first, second = samples[:3000], samples[3000:]
    whole = tally(first)
    whole.merge(tally(second))
    later = tally(first)
    earlier = later.copy()
    later.add(second)

    assert whole.encode() == tally(samples).encode()
    assert Tally.decode(unpack(pack(whole.encode()), type(whole.encode()))).encode() == whole.encode()
    earlier.merge(later.subtract(earlier))
    assert earlier.encode() == tally(samples).encode()


def test_warm_up_is_in_no_tally() -> None:
    samples = draw()
    samples["phase"][:100] = 1

    assert tally(samples).encode() == tally(samples[100:]).encode()


def test_results_of_workers_add_up_to_that_of_one_stream() -> None:
    samples = draw()
    merged, single = merge_parts(ORDER, make_parts(samples, 4)), measure(samples)

    assert (merged.valid, merged.reasons) == (True, ())
    assert set(merged.intervals) == set(single.intervals) == {"p50", "p95", "p99"}
    for name in ("requests", "errors", "censored", "outcomes", "statuses", "duration_s", "mode"):
        assert getattr(merged, name) == getattr(single, name), name
    assert merged.rate.achieved == pytest.approx(single.rate.achieved)
    assert merged.rate.scheduled == pytest.approx(500.0)
    for name in ("response_time_s", "service_time_s", "failure_time_s", "connect_time_s"):
        assert_near(getattr(merged, name), getattr(single, name))
    assert merged.response_time_s == tally(samples).series["response"].summarize(), "bit for bit"
    assert merged.client["rss_bytes"] == 4 * (50 << 20)
    assert merged.client["loop_lag_max_s"] == 0.0005
    assert choose_code(merged) == 0


def test_what_the_hypervisor_took_is_the_most_that_a_worker_saw() -> None:
    seen = ({"steal_share": 0.01, "steal_worst_share": 0.15}, {"steal_share": 0.02, "steal_worst_share": 0.1})
    parts = [
        replace(part, result=msgspec.structs.replace(part.result, client=client))
        for part, client in zip(make_parts(draw()), seen, strict=True)
    ]

    assert merge_parts(ORDER, parts).client == {"steal_share": 0.02, "steal_worst_share": 0.15}


def test_of_a_single_worker_intervals_stand() -> None:
    assert set(merge_parts(ORDER, make_parts(draw(), 1)).intervals) >= {"p50", "p95"}


def test_what_the_window_left_out_of_a_trace_is_said_of_all_together() -> None:
    law = Trace(offsets_s=(0.0, PLAN.duration_s, PLAN.duration_s + 1), origin="times.csv")
    merged = merge_parts(msgspec.structs.replace(ORDER, law=encode_law(law)), make_parts(draw()))

    assert "leaves out 2 of the 3 requests of the trace times.csv" in merged.cut
    assert merge_parts(ORDER, make_parts(draw())).cut == ""


def test_a_worker_that_is_no_measurement_makes_none_of_all() -> None:
    samples = draw()
    parts = make_parts(samples)
    parts[1] = make_parts(samples, clock_step_ns=5 * MS)[1]
    merged = merge_parts(ORDER, parts)

    assert (merged.valid, merged.saturated) == (False, False)
    assert [reason.code for reason in merged.reasons] == ["clock-step"]
    assert merged.reasons[0].message.startswith("worker 2: the wall clock")
    assert merged.response_time_s.p50 is None
    assert merged.requests == len(samples)
    assert choose_code(merged) == 7


@pytest.mark.parametrize(("mode", "told"), [("open", True), ("closed", False)])
def test_of_workers_that_are_no_measurement_a_closed_loop_has_no_rate(mode: Any, told: bool) -> None:
    plan = msgspec.structs.replace(PLAN, mode=mode, users=4)
    parts = make_parts(draw())
    lost = [Reason(code="worker-lost", message="it is gone", fix="keep it up")]
    merged = merge_parts(Order(plan=plan), parts, lost=lost)

    assert (merged.rate.achieved is not None) is told
    assert merged.requests == sum(part.result.requests for part in parts)
    assert merge_parts(Order(plan=plan), parts).rate.achieved == pytest.approx(measure(draw()).rate.achieved)


def test_a_worker_that_finds_the_server_saturated_says_so_of_all() -> None:
    parts = make_parts(draw())
    reason = Reason(code="saturated", message="it fell behind", fix="lower the rate")
    result = msgspec.structs.replace(parts[0].result, saturated=True, reasons=(reason,))
    merged = merge_parts(ORDER, [replace(parts[0], result=result), parts[1]])

    assert (merged.valid, merged.saturated) == (True, True)
    assert [each.code for each in merged.reasons] == ["saturated"]
    assert merged.response_time_s.p50 is not None


def test_when_nothing_succeeds_the_exit_code_is_1() -> None:
    samples = draw()
    samples["outcome"], samples["status"] = Outcome.REFUSED, 503

    assert choose_code(merge_parts(ORDER, make_parts(samples))) == 1


@pytest.mark.parametrize(
    ("told", "level", "course"),
    [
        ((True, True), True, ""),
        ((True, None), None, ""),
        ((None, False), False, "b: slower"),
        ((False, False), False, "a: slower; b: slower"),
    ],
)
def test_times_are_level_where_they_were_on_every_worker(
    told: tuple[bool | None, ...], level: bool | None, course: str
) -> None:
    parts = [
        replace(
            part,
            name=name,
            result=msgspec.structs.replace(
                part.result, valid=True, reasons=(), window_stationary=each, window_course="slower"
            ),
        )
        for part, name, each in zip(make_parts(draw()), "ab", told, strict=True)
    ]
    merged = merge_parts(ORDER, parts)

    assert (merged.window_stationary, merged.window_course) == (level, course)


def collect(workers: Sequence[str] = ("a", "b"), *, begun: bool = True) -> Collection:
    collection = Collection(ORDER, tuple(workers))
    for number, name in enumerate(workers):
        collection.take_prepared(name, Prepared(worker=number, clock="c"))
    collection.begun = begun
    return collection


def conclude(collection: Collection) -> LoadResult:
    result = collection.conclude()
    assert isinstance(result, LoadResult)
    return result


def test_a_run_is_over_when_all_have_come_to_their_end() -> None:
    samples = draw()
    collection = collect()
    collection.take_end("a", end(samples[::2]))
    assert collection.is_prepared
    assert not collection.is_over
    collection.take_end("b", end(samples[1::2], 1))
    result = conclude(collection)

    assert collection.is_over
    assert not collection.is_broken
    assert (result.valid, result.requests) == (True, len(samples))


def test_a_worker_that_is_lost_makes_the_run_no_measurement() -> None:
    """The others, who were told to stop for it, are no reason of their own."""
    samples = draw()
    collection = collect()
    collection.lose("a", "its heartbeat stopped")
    assert collection.is_broken
    collection.take_end("a", end(samples))
    stopped = measure(samples, stopped="told to stop")
    collection.take_end("b", msgspec.structs.replace(end(samples, 1), result=stopped))
    result = conclude(collection)

    assert not result.valid
    assert [reason.code for reason in result.reasons] == ["worker-lost"]
    assert "worker 1 of 2 was lost: its heartbeat stopped" in result.reasons[0].message
    assert result.response_time_s.p50 is None
    assert choose_code(result) == 7


def test_the_only_worker_may_be_lost() -> None:
    collection = collect(["a"])
    collection.lose("a", "it is gone")
    result = conclude(collection)

    assert (result.valid, result.requests, choose_code(result)) == (False, 0, 7)


def test_a_worker_that_fails_in_the_midst_is_lost() -> None:
    collection = collect()
    collection.take_end("a", end(draw()))
    collection.take_end("b", End(worker=1, failure=Failure(message="the pacer broke")))
    result = conclude(collection)

    assert [reason.code for reason in result.reasons] == ["worker-lost"]
    assert "the pacer broke" in result.reasons[0].message


def test_when_no_worker_can_begin_there_is_no_result() -> None:
    """What was in the way is said, and not that the others were told to stop for it."""
    collection = collect(begun=False)
    collection.take_end("a", End(worker=0, failure=Failure(message="told to stop", exit_code=130)))
    collection.take_end("b", End(worker=1, failure=Failure(message="nothing listens", exit_code=3)))

    assert collection.conclude() == Failure(message="nothing listens", exit_code=3)


def test_reports_add_up_to_what_came_and_how_far_all_are() -> None:
    samples = draw()
    collection = collect()
    for number, name in enumerate(("a", "b", "a", "stranger")):
        progress = Progress(elapsed_s=1.0 + number, sent=10, ended=9, failed=1, in_flight=1)
        part = tally(samples[number::4]) if name != "stranger" else tally(samples)
        collection.take_report(name, Report(worker=0, tally=part.encode(), progress=progress))

    assert collection.tally.encode() == tally(samples[0::4], samples[1::4], samples[2::4]).encode()
    assert collection.progress == Progress(elapsed_s=3.0, sent=20, ended=18, failed=2, in_flight=2)
    assert set(collection.tally.series) == set(SERIES)


def test_what_checks_found_adds_up() -> None:
    measured = make_parts(draw())
    results = [
        msgspec.structs.replace(part.result, checked=True, mixed_up=3, examples=tuple(f"{k}{n}" for n in "abcd"))
        for k, part in zip("xy", measured, strict=True)
    ]
    parts = [replace(part, result=result) for part, result in zip(measured, results, strict=True)]
    merged = merge_parts(ORDER, parts)

    assert (merged.checked, merged.mixed_up) == (True, 6)
    assert merged.examples == ("xa", "xb", "xc", "xd", "ya")
    unchecked = msgspec.structs.replace(results[1], checked=False)
    assert not merge_parts(ORDER, [parts[0], replace(parts[1], result=unchecked)]).checked
    assert not merge_parts(ORDER, []).checked
