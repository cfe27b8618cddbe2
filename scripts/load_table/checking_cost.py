"""What checking costs a closed loop against nginx: the loop of a run with golden cases beside the same without a look at answers.

Answers are judged after a run. While it sends, a pacer only tells each from the last one of its case.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from load_table.answers import ANSWER, MANIFEST, NUMBER
from load_table.nginx import explain_lack, serve_nginx
from load_table.row import Options, Reading
from load_table.running import on_cpu
from load_table.verdicts import are_enough, tell_flaws, tell_left_out
from seatrial.endpoint import Endpoint
from seatrial.load.arrivals import SECOND_NS
from seatrial.load.checking import check_answers
from seatrial.load.child import read_line, write_line
from seatrial.load.client_saturation import CLIENT_SATURATED
from seatrial.load.driver import LEAD_S, READY_TIMEOUT_S, SLACK_S, PacerRun, read_answers
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import SAMPLES_FILE, Destination, Done, Event, Plan, Progress, Ready
from seatrial.load.questions import Questions
from seatrial.load.samples import Outcome, read_samples
from seatrial.load.validity import find_flaws
from seatrial.model import Case

USERS = 32
WHAT = f"what checking answers costs a closed loop against nginx, {USERS} users, one core each"
MUST = (
    "< 5 % of its requests/s without, in the same run; of its CPU time a request where single pairs differ by over 20 %"
)
WHAT_ALONE = "what telling an answer from the last one of its case costs, timed alone"
MUST_ALONE = "< 5 % of the CPU time that a request takes the loop without it, in the same run"
CALLS = 200_000
QUESTIONS = 2 * USERS
"""So many that none is asked twice at a time."""
WARM_UP_S = 0.3
SLICE_S = 1.0
FEWEST_REPEATS = 3
UNSURE = 0.2
_E = TypeVar("_E", Ready, Done)


HARMLESS = {CLIENT_SATURATED}
"""Neighbours that take CPU time show in how far single pairs differ, and the cost is what checking takes of it then. That the
client works all the time is what is compared.
"""


class Loop(NamedTuple):
    """What came of one, or of several in turn with the other."""

    rate: float
    """Requests a second."""
    cpu_s: float
    """Of the pacer, a request: tells the cost where neighbours take CPU time, or the server is slower than its client."""
    flaw: str = ""
    """Why it is no loop to compare."""


def measure_checking(options: Options) -> Iterator[Reading]:
    """One loop and the other, in turn by the second: the pace of a CPU that is shared may change by a fifth in a minute."""
    lack = explain_lack()
    if lack:
        yield Reading(what=WHAT, must=MUST, reached=lack, met=None)
        yield Reading(what=WHAT_ALONE, must=MUST_ALONE, reached=lack, met=None)
        return
    cpus = sorted(os.sched_getaffinity(0))
    slices, repeats = int(options.choose(8, 2)), max(options.repeats, FEWEST_REPEATS)
    with_check, without, alone_s = list[Loop](), list[Loop](), list[float]()
    with serve_nginx(ANSWER.decode(), cpu=cpus[-1]) as url:
        questions = make_questions(url)
        for repeat in range(repeats):
            options.wait_quiet()
            mine, theirs = run_in_turn(questions, slices, cpus[0])
            with_check.append(mine)
            without.append(theirs)
            with on_cpu(cpus[0]):
                alone_s.append(time_identifying())
            told = f"{with_check[-1].rate:,.0f}/s with, {without[-1].rate:,.0f}/s without"
            options.tell(f"checking: {told} ({repeat + 1} of {repeats})")
    yield compare(with_check, without)
    yield compare_alone(alone_s, without)


def compare(with_check: Sequence[Loop], without: Sequence[Loop]) -> Reading:
    """Return the line of both loops, which ran in turn; of pairs in which either is no loop to compare nothing is told."""
    runs = len(without)
    flaws = [mine.flaw or theirs.flaw for mine, theirs in zip(with_check, without, strict=True)]
    left_out = tell_left_out([flaw for flaw in flaws if flaw], runs)
    with_check = [loop for loop, flaw in zip(with_check, flaws, strict=True) if not flaw]
    without = [loop for loop, flaw in zip(without, flaws, strict=True) if not flaw]
    if not are_enough(len(without), runs):
        return Reading(what=WHAT, must=MUST, reached=f"not measured: {left_out}", met=None)
    rates = [median(loop.rate for loop in loops) for loops in (with_check, without)]
    cpu_s = [median(loop.cpu_s for loop in loops) for loops in (with_check, without)]
    pairs = sorted(1 - mine.rate / theirs.rate for mine, theirs in zip(with_check, without, strict=True))
    # Of pairs, not of medians: what one pair's machine was like is in both of its loops.
    cost = median(pairs)
    cpu_cost = median(1 - theirs.cpu_s / mine.cpu_s for mine, theirs in zip(with_check, without, strict=True))
    return Reading(
        what=WHAT,
        must=MUST,
        reached=f"{cost:.1%}, the median of {len(pairs)} pairs in turn by the second ({pairs[0]:.1%} to {pairs[-1]:.1%}), "
        f"with medians of {rates[0]:,.0f}/s with and {rates[1]:,.0f}/s without; "
        f"of the pacer's CPU {cpu_cost:.1%}, with {cpu_s[0] * 1e6:.2f} us a request and {cpu_s[1] * 1e6:.2f}"
        + (f"; {left_out}" if left_out else ""),
        # Where single pairs differ by so much neighbours had the CPU: what it took of it is what can be told then.
        met=(cost if pairs[-1] - pairs[0] < UNSURE else cpu_cost) < 0.05,
        figures={
            "cost": cost,
            "with": rates[0],
            "without": rates[1],
            "least": pairs[0],
            "most": pairs[-1],
            "cpu_with_s": cpu_s[0],
            "cpu_without_s": cpu_s[1],
        },
    )


def compare_alone(alone_s: Sequence[float], without: Sequence[Loop]) -> Reading:
    """Return the line of what an answer's check takes by itself, seconds of CPU, beside the loop that has none.

    The bound is of the loop, and a request's CPU time is the least that it may be held against: on the clock it takes as long or
    longer. A number of requests a second would be that of one machine, and no other's.
    """
    loops = [loop for loop in without if not loop.flaw]
    if not are_enough(len(loops), len(without)):
        left_out = tell_left_out([loop.flaw for loop in without if loop.flaw], len(without))
        return Reading(what=WHAT_ALONE, must=MUST_ALONE, reached=f"not measured: {left_out}", met=None)
    cost_s, request_s = median(alone_s), median(loop.cpu_s for loop in loops)
    return Reading(
        what=WHAT_ALONE,
        must=MUST_ALONE,
        reached=f"{cost_s / request_s:.1%}: {cost_s * 1e9:.0f} ns an answer, of {request_s * 1e6:.2f} us a request "
        f"(medians of {len(alone_s)} and {len(loops)}, in turn)",
        met=cost_s < 0.05 * request_s,
        figures={"identify_s": cost_s, "request_s": request_s},
    )


def run_in_turn(questions: Questions, slices: int, cpu: int) -> tuple[Loop, Loop]:
    """Return the loop that tells answers apart and the one that does not, of so many slices each; who is first changes."""
    loops: dict[bool, list[Loop]] = {True: [], False: []}
    for place in range(slices):
        for checks in (True, False) if place % 2 == 0 else (False, True):
            loops[checks].append(run_loop(questions, SLICE_S, cpu, checks=checks))
    return join_slices(loops[True]), join_slices(loops[False])


def join_slices(slices: Sequence[Loop]) -> Loop:
    """Return slices of the same length as one loop; one of them that is no loop to compare makes it none."""
    requests = sum(each.rate for each in slices)
    return Loop(
        rate=requests / len(slices),
        cpu_s=sum(each.cpu_s * each.rate for each in slices) / requests,
        flaw=next((each.flaw for each in slices if each.flaw), ""),
    )


def time_identifying() -> float:
    """Return the seconds of CPU that one answer costs, when it is the same as the last of its case."""
    copies = [bytes(bytearray(ANSWER)) for _ in range(64)]
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as directory:
        recorder = Recorder(Path(directory), keep_bodies_bytes=1 << 20)
        began_s = time.process_time()
        for number in range(CALLS):
            recorder.identify(0, 200, copies[number & 63], "application/json")
        took_s = time.process_time() - began_s
        began_s = time.process_time()
        for number in range(CALLS):
            copies[number & 63]
        took_s -= time.process_time() - began_s
        recorder.close()
    return took_s / CALLS


def make_questions(url: str) -> Questions:
    """Return golden cases for a server that gives the one answer to all."""
    endpoint = Endpoint(address=url.rstrip("/"), wire="v2", path="loopback", name="nonce")
    answer = {"answer": np.array([NUMBER])}
    cases = tuple(
        Case(name=str(number), inputs={"number": np.array([number])}, outputs=answer) for number in range(QUESTIONS)
    )
    return Questions(endpoint=endpoint, manifest=MANIFEST, cases=cases)


def run_loop(questions: Questions, duration_s: float, cpu: int, *, checks: bool) -> Loop:
    """Run a pacer; where it tells answers apart, all must be right."""
    plan = questions.fill(
        Plan(
            destination=Destination(),
            requests=(),
            cases=(),
            mode="closed",
            users=USERS,
            duration_s=duration_s,
            warm_up_s=WARM_UP_S,
        )
    )
    plan = msgspec.structs.replace(plan, keeps_answers=checks)
    with tempfile.TemporaryDirectory(prefix="seatrial-table-") as name:
        directory = Path(name)
        ready, done = run_pacer(["taskset", "-c", str(cpu), sys.executable, "-m", "seatrial.load.pacer", name], plan)
        if checks:
            checked = check_answers(directory / SAMPLES_FILE, read_answers(directory), questions.judge)
            if checked.wrong or checked.refused or checked.unchecked:
                sys.exit(f"nginx's answers are not right: {checked}")
        samples = read_samples(directory / SAMPLES_FILE)
        if np.any(samples["outcome"] != Outcome.ANSWERED):
            sys.exit(f"requests failed: {np.bincount(samples['outcome'])}")
        count = int(np.count_nonzero(samples["phase"] == 0))
        flaws = find_flaws(PacerRun(plan=plan, ready=ready, done=done, samples=samples))
        return Loop(
            rate=count / duration_s, cpu_s=done.cpu_s / max(done.sent, 1), flaw=tell_flaws(flaws, harmless=HARMLESS)
        )


def run_pacer(argv: Sequence[str], plan: Plan) -> tuple[Ready, Done]:
    """Take a plan through; nobody reads what is recorded meanwhile: on a CPU of its own the loop is all there is."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        try:
            write_line(popen, msgspec.json.encode(plan))
            ready = _wait_for(Ready, popen, READY_TIMEOUT_S)
            write_line(popen, b"go %d" % (time.monotonic_ns() + int(LEAD_S * SECOND_NS)))
            return ready, _wait_for(Done, popen, SLACK_S)
        finally:
            popen.kill()


def _wait_for(kind: type[_E], popen: subprocess.Popen[bytes], timeout_s: float) -> _E:
    """Return an event; of progress there is one a second."""
    while line := read_line(popen, timeout_s):
        event: Event = msgspec.json.decode(line, type=Event)
        if isinstance(event, kind):
            return event
        if not isinstance(event, Progress):
            sys.exit(f"the pacer said {event}")
    sys.exit("the pacer ended, or did not answer in time")
