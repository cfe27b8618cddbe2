"""A warm-up that lasts until response times are level on every worker: the window begins on all of them at one time."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from scipy import stats

from chance import is_likely
from seatrial.load.arrivals import Constant
from seatrial.load.live import Snapshot
from seatrial.load.plan import Destination, Plan, Progress
from seatrial.load.result import LoadResult, Reason
from seatrial.load.samples import SAMPLE, Samples, read_samples
from seatrial.load.schedules import make_schedule
from seatrial.load.slices import Slices
from seatrial.load.stationarity import WarmUpLimits, WarmUpVerdict
from seatrial.load.swarm.collecting import Collection
from seatrial.load.swarm.launch import run_swarm
from seatrial.load.swarm.merging import Part, merge_parts
from seatrial.load.swarm.messages import End, Failure, Order, Report, encode_law, pack, unpack
from seatrial.load.swarm.warming import describe_warm_up, lay_out
from seatrial.load.tally import Tally
from seatrial.load.warming import WarmUpWatch

Serve = Callable[..., int]
RATE, SECONDS = 200.0, 1.0
SECOND_NS = 10**9
PLAN = Plan(
    destination=Destination(host="127.0.0.1", port=1),
    requests=(b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n",),
    cases=(0,),
    mode="open",
    duration_s=SECONDS,
    drain_s=5.0,
    connections=8,
)
SOON = WarmUpLimits(minimum_s=1.0, maximum_s=30.0, fewest=60, patience_s=1.0)
NEVER = WarmUpLimits(minimum_s=600.0, maximum_s=600.0)
LEVEL = WarmUpVerdict(over=True, stationary=True, since_s=0.0, elapsed_s=6.0, requests=300, message="level")
GAVE_UP = msgspec.structs.replace(LEVEL, stationary=False, since_s=None, message="never became stationary")
MOVING = msgspec.structs.replace(GAVE_UP, over=False, message="not stationary yet")
pytestmark = pytest.mark.timeout(300)


def run(port: int, directory: Path, limits: WarmUpLimits, **changes: Any) -> tuple[LoadResult, list[Snapshot]]:
    shown: list[Snapshot] = []
    plan = msgspec.structs.replace(PLAN, destination=Destination(host="127.0.0.1", port=port))
    how: dict[str, Any] = {"workers": 2, "directory": directory, "requested": RATE, "on_progress": shown.append}
    result = run_swarm(plan, Constant(rate=RATE), warm_up=limits, **(how | changes))
    return result, shown


def read_workers(directory: Path) -> list[Samples]:
    return [read_samples(directory / f"worker-{worker}" / "samples.bin") for worker in range(2)]


def test_the_window_begins_on_all_workers_at_one_time(serve: Serve, tmp_path: Path) -> None:
    """To the nanosecond: put together, what they send in it is the schedule of one stream. What came before is in no figure."""
    port, schedule = serve("delay", 0.005), make_schedule(Constant(rate=RATE), duration_s=SECONDS, seed=1).offsets_ns
    # A process that gets no CPU for a second reads the word too late: then it is another try.
    for number in range(3):
        directory = tmp_path / str(number)
        directory.mkdir()
        result, shown = run(port, directory, SOON, locust_options=("--csv", str(directory / "out")))
        samples = read_workers(directory)
        together = np.sort(np.concatenate([each["intended_ns"][each["phase"] == 0] for each in samples]))
        if is_one := together.tolist() == (together[0] + schedule).tolist():
            break

    assert is_one
    assert all((each["phase"] == 1).any() for each in samples)
    assert all((each["intended_ns"][each["phase"] == 1] < together[0]).all() for each in samples)
    assert result.requests == sum(result.outcomes.values()) == len(schedule)
    with (directory / "out_stats.csv").open(encoding="utf-8", newline="") as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert int(total["Request Count"]) == len(schedule)
    last_ns = max(int(each["last_ns"][each["phase"] == 0].max()) for each in samples)
    window_s = (last_ns - int(together[0])) / SECOND_NS
    # As many as there are, over the time from the window's beginning to the last answer, however late that came.
    assert len(schedule) / float(total["Requests/s"]) == pytest.approx(window_s, rel=1e-4)

    first_ns = min(int(each["intended_ns"].min()) for each in samples)
    assert result.warm_up_s == pytest.approx((int(together[0]) - first_ns) / SECOND_NS)
    assert result.stationary is ("never became stationary" not in result.warm_up)
    assert [part.split(": ")[0] for part in result.warm_up.split("; ")][:2] == ["worker 1 of 2", "worker 2 of 2"]
    assert shown[0].phase == "warm-up"
    assert any(each.note for each in shown)
    assert shown[-1].phase == "drain"


def test_times_that_never_are_level_end_the_warm_up_at_its_limit(serve: Serve, tmp_path: Path) -> None:
    """Each answer takes longer than the one before."""
    limits = WarmUpLimits(minimum_s=1.0, maximum_s=3.0, fewest=60)
    result, shown = run(serve("growing", 0.0002), tmp_path, limits)

    assert result.stationary is False
    assert result.warm_up.count("never became stationary in") == 2
    assert result.warm_up_s >= 3.0
    assert result.requests == int(RATE * SECONDS)
    assert any("0 of 2 workers level, worker 1 of 2: not stationary yet: " in each.note for each in shown)


def test_a_single_worker_of_a_closed_loop_says_what_one_pacer_does(serve: Serve, tmp_path: Path) -> None:
    plan = msgspec.structs.replace(
        PLAN, mode="closed", users=2, think_s=0.01, destination=Destination(host="127.0.0.1", port=serve("echo"))
    )
    limits = replace(SOON, maximum_s=1.0)
    result = run_swarm(plan, None, workers=1, directory=tmp_path, warm_up=limits)
    samples = read_samples(tmp_path / "worker-0" / "samples.bin")

    assert result.warm_up.startswith(("level", "p50", "never became stationary"))
    assert result.warm_up_s >= 1.0
    assert result.requests == int((samples["phase"] == 0).sum()) < len(samples)


def test_a_worker_that_is_killed_while_it_warms_up_ends_the_run(serve: Serve, tmp_path: Path) -> None:
    killed: list[psutil.Process] = []

    def kill(progress: Snapshot) -> None:
        if progress.sent and not killed:
            children = psutil.Process().children(recursive=True)
            killed.append(next(each for each in children if "--worker" in each.cmdline()))
            killed[0].kill()

    result, _ = run(serve("echo"), tmp_path, NEVER, on_progress=kill)

    assert not result.valid
    assert [reason.code for reason in result.reasons].count("worker-lost") == 1
    assert set(result.outcomes) <= {"unsent"}, "there was no window"


def test_interrupted_while_it_warms_up_it_says_so(serve: Serve) -> None:
    url = f"http://127.0.0.1:{serve('echo')}/"
    argv = [sys.executable, "-m", "seatrial", "load", url, "--rate", "50", "--workers", "2", "--json", "-"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        assert popen.stdout is not None
        assert any("warming up, 0 of 2 workers level" in line for line in popen.stderr)
        popen.send_signal(signal.SIGINT)
        result = json.loads(popen.stdout.read())
        assert popen.wait(timeout=60) == 130

    assert "interrupted" in [reason["code"] for reason in result["reasons"]]
    assert not result["valid"]
    assert result["response_time_s"]["p50"] is None


def make_samples(count: int) -> Samples:
    """Requests of 5 ms each, all alike, 100 a second."""
    samples = np.zeros(count, SAMPLE)
    samples["intended_ns"] = np.arange(count) * (SECOND_NS // 100)
    samples["last_ns"] = samples["intended_ns"] + 5_000_000
    return samples


def test_a_worker_that_is_level_is_not_asked_again() -> None:
    watch = WarmUpWatch(WarmUpLimits(minimum_s=1.0, fewest=60), 0)
    samples = make_samples(200)
    watch.look([samples[:30]], 0.5)
    assert watch.verdict is not None
    assert (watch.verdict.over, watch.verdict.requests) == (False, 30)
    watch.look([samples[30:60], samples[60:100]], 1.1)
    level = watch.verdict
    assert (level.over, level.stationary, level.requests) == (True, True, 100)
    watch.look([samples[100:]], 2.1)

    assert watch.verdict is level
    assert watch.held == 0


def test_of_more_samples_than_are_held_a_part_is_judged() -> None:
    """The same part of all times and of all cases."""
    watch = WarmUpWatch(WarmUpLimits(minimum_s=600.0, maximum_s=600.0), 0, most_seen=1000)
    samples = make_samples(20_000)
    for begin in range(0, 20_000, 500):
        watch.look([samples[begin : begin + 500]], begin / 100)
        assert watch.held <= 1000

    seen = watch._seen
    assert len(seen) > 400
    early = int(np.count_nonzero(seen["intended_ns"] < samples["intended_ns"][10_000]))
    assert is_likely(stats.binomtest(early, len(seen)).pvalue)
    assert len(set((seen["intended_ns"] // (SECOND_NS // 100) % 8).tolist())) == 8


def test_what_is_due_moves_with_the_window() -> None:
    """What Locust's chart shows in the place of users."""
    warm_up_ns, offsets_ns = np.arange(0, 100, 10), np.array([0, 3, 7])

    assert lay_out(warm_up_ns, offsets_ns, 100).tolist() == [*range(0, 100, 10), 100, 103, 107]
    assert lay_out(warm_up_ns, offsets_ns, 25).tolist() == [0, 10, 20, 25, 28, 32]


def collect(*verdicts: WarmUpVerdict | None) -> Collection:
    order = Order(plan=PLAN, law=encode_law(Constant(rate=RATE)), warm_up=WarmUpLimits())
    collection = Collection(order, tuple("abc"[: len(verdicts)]))
    for name, verdict in zip("abc", verdicts, strict=False):
        progress = Progress(elapsed_s=6.0, sent=1, ended=1, failed=0, in_flight=0)
        collection.take_report(name, Report(worker=0, tally=Tally().encode(), progress=progress, warm_up=verdict))
    return collection


@pytest.mark.parametrize(
    ("verdicts", "is_warm"),
    [
        ((LEVEL, LEVEL), True),
        ((LEVEL, GAVE_UP), True),
        ((LEVEL, MOVING), False),
        ((LEVEL, None), False),
        ((None, None), False),
    ],
)
def test_a_warm_up_is_over_when_it_is_on_every_worker(verdicts: Sequence[WarmUpVerdict | None], is_warm: bool) -> None:
    assert collect(*verdicts).is_warm is is_warm


def test_a_worker_that_has_ended_is_not_waited_for() -> None:
    collection = collect(LEVEL, MOVING, LEVEL)
    collection.take_end("b", End(worker=1, failure=Failure(message="the pacer broke")))
    assert collection.is_warm
    for name in "ac":
        collection.lose(name, "it is gone")
    assert not collection.is_warm, "there is nobody to tell"


def test_a_report_without_a_word_on_it_keeps_the_last() -> None:
    collection = collect(LEVEL)
    collection.take_report("a", Report(worker=0, tally=Tally().encode(), progress=None))

    assert collection.is_warm


def test_without_limits_nobody_waits() -> None:
    assert Collection(Order(plan=PLAN), ("a",)).window_begun
    assert not Collection(Order(plan=PLAN, warm_up=WarmUpLimits()), ("a",)).window_begun


@pytest.mark.parametrize(
    ("verdicts", "note"),
    [
        ({"a": None}, ""),
        ({"a": MOVING}, "not stationary yet"),
        ({"a": LEVEL, "b": MOVING}, "1 of 2 workers level, b: not stationary yet"),
        ({"a": MOVING, "b": MOVING}, "0 of 2 workers level, a: not stationary yet"),
        ({"a": LEVEL, "b": GAVE_UP}, "2 of 2 workers level, a: level"),
        ({"a": LEVEL, "b": None}, ""),
    ],
)
def test_how_far_it_is_is_one_sentence(verdicts: dict[str, WarmUpVerdict | None], note: str) -> None:
    assert describe_warm_up(verdicts) == note


def test_limits_and_verdicts_come_through_a_wire() -> None:
    order = Order(plan=PLAN, warm_up=SOON)
    report = Report(worker=0, tally=Tally().encode(), progress=None, warm_up=LEVEL)

    assert unpack(pack(order), Order) == order
    assert unpack(pack(report), Report) == report


def make_part(name: str, **changes: Any) -> Part:
    fields: dict[str, Any] = {"warm_up_s": 6.0}
    result = msgspec.structs.replace(merge(), **(fields | changes))
    return Part(name=name, result=result, tally=Tally(), slices=Slices.none())


def merge(*parts: Part) -> LoadResult:
    return merge_parts(Order(plan=PLAN, law=encode_law(Constant(rate=RATE))), parts)


def test_windows_that_began_apart_are_none_but_where_workers_were_stopped() -> None:
    late = {"warm_up_s": 9.0}
    stopped = {"valid": False, "reasons": (Reason(code="interrupted", message="told to stop", fix="wait"),)}

    assert [each.code for each in merge(make_part("a"), make_part("b", **late)).reasons] == ["windows-apart"]
    told = merge(make_part("a", **stopped), make_part("b", **stopped, **late)).reasons
    assert [each.code for each in told] == ["interrupted"] * 2


@pytest.mark.parametrize(
    ("told", "stationary", "words"),
    [
        ((True, True), True, "a: of a; b: of b"),
        ((True, False), False, "a: of a; b: of b"),
        ((True,), True, "of a"),
        ((False,), False, "of a"),
        ((None, None), None, "a: of a; b: of b"),
        ((True, None), None, "a: of a; b: of b"),
        ((False, None), False, "a: of a; b: of b"),
        ((), None, ""),
    ],
)
def test_it_was_level_where_it_was_on_every_worker(
    told: tuple[bool | None, ...], stationary: bool | None, words: str
) -> None:
    """None: one had too few requests to tell."""
    merged = merge(
        *(make_part(name, stationary=each, warm_up=f"of {name}") for name, each in zip("ab", told, strict=False))
    )

    assert (merged.stationary, merged.warm_up) == (stationary, words)
    assert merged.warm_up_s == (6.0 if told else 0.0)
    assert merged.valid


def test_windows_that_did_not_begin_together_are_no_measurement() -> None:
    near = merge(make_part("a"), make_part("b", warm_up_s=6.4))
    apart = merge(make_part("a"), make_part("b", warm_up_s=65.0))

    assert (near.valid, near.warm_up_s) == (True, 6.4)
    assert not apart.valid
    assert [reason.code for reason in apart.reasons] == ["windows-apart"]
    assert "began 59.0 s apart" in apart.reasons[0].message
