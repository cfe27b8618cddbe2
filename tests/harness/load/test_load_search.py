"""`seatrial load --find-rate`: what it says of every run, and that a server is warm before the first of them is judged."""

from __future__ import annotations

import json
import math
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import msgspec
import pytest
import typer

from seatrial.cli import load_runs
from seatrial.cli.load import load as load_command
from seatrial.load import between_runs, schedules
from seatrial.load.analysis import NO_FIGURES
from seatrial.load.between_runs import Asked, Recovery
from seatrial.load.capacity import Capacity
from seatrial.load.conducting import Conduct
from seatrial.load.driver import ExhaustedClientError, UnconnectedError
from seatrial.load.plan import Plan
from seatrial.load.result import Judgement, Lag, LoadResult, Rate
from seatrial.load.stationarity import BRIEF_WARM_UP, WarmUpLimits

COMMANDING = runpy.run_path(str(Path(__file__).with_name("commanding.py")))
load, interrupt = COMMANDING["load"], COMMANDING["interrupt"]

Serve = Callable[..., int]
FIRST_RATE = 60.0
COLD = ("cold", 100, 0.3, 0.006)
"""100 answers of 0.3 s, which is more than two seconds of the first rate, then one queue of 6 ms: some 150 requests a second."""
SEARCH = ("--find-rate", "--rate", "60", "--duration", "1", "--objective", "p50 <= 100 ms")


@dataclass(kw_only=True)
class ColdServer:
    """A server that keeps the objective up to a rate, once it was warmed up or asked."""

    capacity: float
    is_warm: bool = False
    unmade_above: float = math.inf
    unmade: Exception | None = None
    """What there is above a rate in place of a run."""
    warm_ups: list[WarmUpLimits | float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    """Single questions, by how many runs there were before."""

    def ask(self, *_: object) -> SimpleNamespace:
        """Answer one question as `probe` has it."""
        self.asked.append(len(self.warm_ups))
        return SimpleNamespace(status=200, body_bytes=2, took_s=0.001)

    def measure(self, plan: Plan, _schedule: object, *, conduct: Conduct, requested: float, **_: object) -> LoadResult:
        """Make a run as `measure_load` does."""
        self.warm_ups.append(conduct.warm_up or plan.warm_up_s)
        if self.unmade is not None and requested > self.unmade_above:
            raise self.unmade
        self.is_warm = self.is_warm or bool(self.warm_ups[-1])
        is_kept = self.is_warm and requested <= self.capacity
        self.is_warm = True
        return LoadResult(
            mode="open",
            valid=True,
            saturated=False,
            requests=100,
            errors=0,
            wrong=0,
            censored=0,
            rate=Rate(requested=requested, scheduled=requested, achieved=requested),
            response_time_s=NO_FIGURES,
            service_time_s=NO_FIGURES,
            failure_time_s=NO_FIGURES,
            dispatch_lag_s=Lag(p50=None, p99=None, max=None),
            duration_s=plan.duration_s,
            warm_up_s=7.0 if conduct.warm_up else plan.warm_up_s,
            stationary=True if conduct.warm_up else None,
            warm_up="level from the start" if conduct.warm_up else "",
            judgement=Judgement(status="met" if is_kept else "missed", message="as it is"),
        )


def search(
    server: ColdServer, directory: Path, monkeypatch: pytest.MonkeyPatch, warm_up: str | None, duration_s: float = 10.0
) -> Capacity:
    """Search its capacity by the command, without sending anything."""

    @contextmanager
    def open_window(_order: object) -> Iterator[Path]:
        yield directory

    monkeypatch.setattr(load_runs, "_window", open_window)
    monkeypatch.setattr(load_runs, "measure_load", server.measure)
    monkeypatch.setattr(load_runs, "probe", server.ask)
    file = directory / "found.json"
    with pytest.raises(typer.Exit) as caught:
        load_command(
            "http://127.0.0.1:9/",
            find_rate=True,
            rate=FIRST_RATE,
            objective="p50 <= 5 ms",
            warm_up=warm_up,
            duration=duration_s,
            json_file=str(file),
            quiet=True,
        )
    assert caught.value.exit_code == 0
    return msgspec.json.decode(file.read_bytes(), type=Capacity)


@pytest.mark.parametrize(
    ("given", "first", "later"),
    [(None, BRIEF_WARM_UP, 0.0), ("auto", BRIEF_WARM_UP, BRIEF_WARM_UP), ("2.5", 2.5, 2.5)],
)
def test_a_cold_server_is_warmed_up_before_it_is_judged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str | None,
    first: WarmUpLimits | float,
    later: WarmUpLimits | float,
) -> None:
    """Before its first run where nothing was given, before each as it was given else."""
    server = ColdServer(capacity=100.0)
    found = search(server, tmp_path, monkeypatch, given)

    assert server.warm_ups == [first, *[later] * (len(found.rungs) - 1)]
    assert (found.rungs[0].rate, found.rungs[0].status) == (FIRST_RATE, "kept")
    assert 95.0 < (found.highest_kept or 0.0) <= 100.0
    looked = [isinstance(each, WarmUpLimits) for each in server.warm_ups]
    assert [each.stationary for each in found.rungs] == [True if auto else None for auto in looked]
    assert [each.warm_up for each in found.rungs] == ["level from the start" if auto else "" for auto in looked]
    assert [each.warm_up_s for each in found.rungs] == [
        7.0 if isinstance(each, WarmUpLimits) else each for each in server.warm_ups
    ]
    assert capsys.readouterr().out.count("  warm-up of 7.0 s: level from the start\n") == sum(looked)


def test_a_server_that_takes_no_connection_has_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overloaded, it may stop listening. The next run waits until it answers again."""
    error = UnconnectedError("no connection to 127.0.0.1:9: refused", fix="see that it listens")
    server = ColdServer(capacity=500.0, unmade_above=100.0, unmade=error)
    found = search(server, tmp_path, monkeypatch, None)

    assert 95.0 < (found.highest_kept or 0.0) <= 100.0
    missed = [number for number, rung in enumerate(found.rungs) if rung.rate > 100.0]
    assert {found.rungs[number].status for number in missed} == {"missed"}
    assert "the run could not begin: no connection to" in found.message
    assert {number + 1 for number in missed if number + 1 < len(found.rungs)} <= set(server.asked)


def test_a_client_that_has_no_connections_left_is_no_fault_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ExhaustedClientError("the client ran out of descriptors", fix="ulimit -n 4096", exhausted="descriptors")
    server = ColdServer(capacity=500.0, unmade_above=100.0, unmade=error)
    found = search(server, tmp_path, monkeypatch, None)

    assert (found.highest_kept or 0.0) <= 100.0
    assert found.lowest_missed is None
    assert {rung.status for rung in found.rungs if rung.rate > 100.0} == {"invalid"}


@pytest.mark.parametrize("duration_s", [3600.0, 9_999.7])
def test_a_search_of_long_runs_ends_at_the_highest_rate_that_a_run_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duration_s: float
) -> None:
    monkeypatch.setattr(schedules, "MAX_REQUESTS", 1_000_000)
    found = search(ColdServer(capacity=math.inf), tmp_path, monkeypatch, "0", duration_s)

    assert (found.ended, found.lowest_missed) == ("never-missed", None)
    assert found.highest_kept == pytest.approx(1_000_000 / duration_s)
    assert found.message == f"kept up to {found.highest_kept:g}/s, the highest rate that was allowed"
    assert [each.rate for each in found.rungs[-2:]] == [found.highest_kept] * 2


def test_without_any_warm_up_the_first_run_is_of_a_cold_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ColdServer(capacity=100.0)
    found = search(server, tmp_path, monkeypatch, "0")

    assert server.warm_ups == [0.0] * len(found.rungs)
    assert [(each.rate, each.status) for each in found.rungs[:2]] == [(FIRST_RATE, "missed"), (FIRST_RATE / 2, "kept")]


def test_after_a_run_that_missed_the_server_is_asked_whether_it_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ColdServer(capacity=100.0)
    found = search(server, tmp_path, monkeypatch, None)

    missed = [number for number, rung in enumerate(found.rungs[:-1], 1) if rung.status == "missed"]
    assert [after for after in server.asked if after] == missed


def test_a_cold_server_is_found_as_it_is_when_warm(serve: Serve, tmp_path: Path) -> None:
    """And what its warm-up was stands in the progress, the table and the JSON."""
    file = tmp_path / "found.json"
    done = load(f"http://127.0.0.1:{serve(*COLD)}/", *SEARCH, "--json", str(file), timeout_s=200)
    found = json.loads(file.read_bytes())
    first, *later = found["rungs"]

    jsonschema.validate(found, msgspec.json.schema(Capacity))
    assert done.returncode in {0, 7}, done.stderr  # 7: this machine was too busy to measure, as an invalid run says
    assert first["status"] in {"kept", "invalid"}
    assert found["ended"] != "found" or FIRST_RATE <= found["highest_kept"] <= 4 * FIRST_RATE
    assert 5.0 <= first["warm_up_s"] <= 26.0
    assert first["warm_up"].startswith("p50 fell 30") or "never became stationary" in first["warm_up"]
    assert [(each["warm_up_s"], each["stationary"], each["warm_up"]) for each in later] == [(0.0, None, "")] * len(
        later
    )
    told = f"warm-up of {first['warm_up_s']:.1f} s: {first['warm_up']}\n"
    assert done.stdout.count(told) == 1
    assert f"60/s: {told}" in done.stderr
    assert "s] warming up, not stationary yet: " in done.stderr
    assert "60/s [" in done.stderr


def test_a_cold_server_that_is_not_warmed_up_misses_what_it_keeps(serve: Serve) -> None:
    url = f"http://127.0.0.1:{serve(*COLD)}/"
    argv = [sys.executable, "-m", "seatrial", "load", url, *SEARCH, "--warm-up", "0", "--json", "-"]
    found = interrupt(argv, "60/s: ", "left")

    assert found["ended"] == "interrupted"
    assert found["rungs"][0]["status"] in {"missed", "invalid"}
    assert found["rungs"][0]["warm_up_s"] == 0.0


def test_interrupted_in_its_warm_up_a_search_says_so(serve: Serve) -> None:
    argv = [sys.executable, "-m", "seatrial", "load", f"http://127.0.0.1:{serve('echo')}/", *SEARCH]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        assert popen.stdout is not None
        progress = next(line for line in popen.stderr if line.startswith("60/s ["))
        popen.send_signal(signal.SIGINT)
        said = popen.stderr.read()
        assert (popen.stdout.read(), popen.wait(timeout=30)) == ("", 130)
    assert "s] warming up, not stationary yet: " in progress

    assert said.splitlines()[-1].startswith(
        "seatrial: interrupted before anything was measured: the run ended before its time in the warm-up"
    )


def test_a_search_says_every_rung(serve: Serve) -> None:
    done = load(
        f"http://127.0.0.1:{serve('failing')}/",
        "--find-rate",
        "--rate",
        "40",
        "--duration",
        "1",
        "--drain",
        "1",
        "--warm-up",
        "0",
        "--objective",
        "errors < 1 %",
        "--json",
        "-",
        "-q",
    )
    found = json.loads(done.stdout)

    assert found["schema"] == "seatrial.capacity/1"
    assert found["highest_kept"] is None
    assert found["rungs"][0]["rate"] == 40
    assert {rung["status"] for rung in found["rungs"]} <= {"missed", "invalid", "undecided"}
    assert done.returncode == (1 if found["ended"] == "never-kept" else 7)


class Clock:
    """Time that goes on when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize(
    ("answers", "asked", "told"),
    [
        ([Asked(took_s=0.3)], 1, 0),
        ([Asked(took_s=2.0), None, Asked(took_s=0.5), Asked(took_s=0.3), Asked(took_s=9.0)], 4, 1),
        ([Asked(took_s=0.001, refused=True), Asked(took_s=0.3)], 2, 1),
        ([None], 200, 1),
    ],
    ids=["at once", "after a while", "refuses at once", "never"],
)
def test_an_overloaded_server_is_left_alone_until_it_answers_as_before_for_ten_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, answers: list[Asked | None], asked: int, told: int
) -> None:
    """It took 0.2 s before the search, so up to 0.4 s are as before."""
    clock, questions, words = Clock(), iter([Asked(took_s=0.2), *answers]), []
    count = 0

    def ask(_timeout_s: float) -> Asked | None:
        nonlocal count
        count += 1
        return next(questions, answers[-1])

    monkeypatch.setattr(between_runs, "time", clock)
    Recovery(ask).wait(lambda: words.append("waiting"))

    # Ten seconds of pauses that add up to them, rounded.
    assert (count - 1, len(words)) == (asked if asked < 100 else pytest.approx(asked, abs=1), told)
    assert clock.now_s <= between_runs.SETTLE_S + 0.1
