"""`seatrial load` as a user has it: figures, files, and a sentence with an exit code for everything that is wrong."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from seatrial.cli.load_checks import choose_warm_up
from seatrial.errors import UsageError
from seatrial.load.limits import read_body
from seatrial.load.result import LoadResult

Serve = Callable[..., int]


COMMANDING = runpy.run_path(str(Path(__file__).with_name("commanding.py")))
load, interrupt = COMMANDING["load"], COMMANDING["interrupt"]


def read_schema() -> object:
    import msgspec

    return msgspec.json.schema(LoadResult)


def test_an_open_loop_gives_its_figures(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    url = f"http://127.0.0.1:{serve('delay', 0.005)}/path?x=1"
    options = ("--rate", "50", "--arrivals", "constant", "--warm-up", "0", "--duration", "2", "--body", "hello")
    done = load(url, *options, "--json", str(file))
    result = json.loads(file.read_bytes())

    assert done.returncode in {0, 7}, done.stderr  # 7: this machine was too busy to measure, and the result says so
    jsonschema.validate(result, read_schema())
    assert result["requests"] == result["outcomes"]["answered"] == 100
    assert result["valid"] is (done.returncode == 0)
    assert bool(result["reasons"]) is (done.returncode == 7)
    assert result["rate"]["requested"] == result["rate"]["scheduled"] == 50
    assert "response time" in done.stdout
    if result["valid"]:
        assert result["response_time_s"]["p50"] >= 0.0049
        assert result["response_time_s"]["p99.9"] is None


def test_what_of_a_trace_comes_after_the_window_is_said_before_and_after_the_run(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("0\n0.2\n0.4\n2\n3.5\n")
    url, law = f"http://127.0.0.1:{serve('echo')}/", f"trace:{tmp_path / 'times.csv'}"
    file = tmp_path / "load.json"
    done = load(url, "--arrivals", law, "--warm-up", "0", "--duration", "1", "--json", str(file))
    result = json.loads(file.read_bytes())

    assert result["requests"] == 3
    assert result["cut"].startswith("the window of 1 s leaves out 2 of the 5 requests of the trace times.csv")
    assert result["cut"] in done.stderr
    assert f"remark: {result['cut']}\n" in done.stdout


def test_a_closed_loop_gives_json_here(serve: Serve) -> None:
    options = ("--users", "3", "--warm-up", "0", "--duration", "1", "--json", "-", "-q")
    done = load(f"http://127.0.0.1:{serve('echo')}/", *options)
    result = json.loads(done.stdout)

    assert done.stderr == ""
    assert result["mode"] == "closed"
    assert result["connections_opened"] == 3
    assert result["rate"]["scheduled"] is None
    assert result["requests"] == sum(result["outcomes"].values()) > 0
    assert (result["rate"]["achieved"] is not None) is result["valid"]


def test_when_nothing_succeeds_it_fails(serve: Serve) -> None:
    options = ("--users", "1", "--warm-up", "0", "--duration", "1", "--json", "-", "-q")
    done = load(f"http://127.0.0.1:{serve('failing')}/", *options)
    result = json.loads(done.stdout)

    assert done.returncode == 1
    assert done.stderr == f"seatrial: not one of {result['requests']:,} requests succeeded\n"
    assert result["errors"] == result["requests"] > 0
    assert list(result["statuses"]) == ["500"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("close", "closed the connection without an answer|reset by peer"),
        ("nonsense", "what is not HTTP/1"),
        ("stall", "sent nothing in time"),
        ("endless", "without end|no end of it"),
    ],
)
def test_what_does_not_answer_one_request_is_not_put_under_load(serve: Serve, kind: str, words: str) -> None:
    done = load(f"http://127.0.0.1:{serve(kind)}/", "--rate", "5", "--duration", "1", "--timeout", "3")

    assert (done.returncode, done.stdout) == (3, "")
    assert re.search(words, done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://127.0.0.1:9/", "--rate", "0"], "above 0"),
        (["http://127.0.0.1:9/", "--rate", "-1"], "above 0"),
        (["http://127.0.0.1:9/", "--rate", "1e9"], "1,000,000"),
        (["http://127.0.0.1:9/", "--rate", "nan"], "above 0"),
        (["http://127.0.0.1:9/"], "--users"),
        (["http://127.0.0.1:9/", "--rate", "1", "--users", "1"], "--users"),
        (["http://127.0.0.1:9/", "--rate", "1", "--duration", "0"], "above 0"),
        (["http://127.0.0.1:9/", "--rate", "1", "--body", "@not-there"], "not-there"),
        (["http://127.0.0.1:9/", "--rate", "1", "--header", "nothing"], "header"),
        (["http://127.0.0.1:9/", "--rate", "1", "--arrivals", "zig"], "no law of arrival"),
        (["ftp://127.0.0.1/", "--rate", "1"], "http"),
        (["127.0.0.1:9", "--rate", "1"], "http"),
        (["http://127.0.0.1:99999/", "--rate", "1"], "is no URL: Port out of range"),
        (["http://192.0.2.1/", "--rate", "1"], "seatrial: 192.0.2.1 is not this machine"),
        (["http://192.0.2.1/", "--rate", "1"], "--allow-remote 192.0.2.1"),
        (["http://name.invalid/", "--rate", "1"], "'name.invalid' has no address: "),
        (["http://127.0.0.1:9/", "--rate", "1", "--body", "@/"], "'/' cannot be read: it is no file"),
        (["http://127.0.0.1:9/", "--rate", "1", "--body", "@not-there"], "cannot be read: it is not there"),
        (["http://127.0.0.1:9/", "--rate", "1", "--body", "@/dev/zero"], "cannot be read: it is no file"),
        (["http://127.0.0.1:9/", "--rate", "1", "--body", "@/proc/self/mem"], "cannot be read: Input/output error"),
        (["http://127.0.0.1:9/", "--rate", "1", "--json", "not/there.json"], "there is no directory 'not'"),
        (["http://127.0.0.1:9/", "--rate", "1", "--json", "/"], "it is a directory"),
        (["http://127.0.0.1:9/", "--rate", "0.001", "--duration", "1"], "no request at all"),
        (["http://127.0.0.1:9/", "--rate", "1e6", "--duration", "86400"], "86,400,000,000 requests"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], words: str) -> None:
    """Before anything is asked: nothing listens at that port, and that is not what is said."""
    done = load(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert re.fullmatch(r"seatrial: .+\n(Fix: .+\n)?", done.stderr)


def test_a_trace_of_which_the_window_has_nothing_says_so(tmp_path: Path) -> None:
    """Of another clock than the window's own."""
    (tmp_path / "times.csv").write_text("1764410000.5\n1764410001.5\n")
    done = load("http://127.0.0.1:9/", "--arrivals", f"trace:{tmp_path / 'times.csv'}", "--duration", "5")

    assert (done.returncode, done.stdout) == (2, "")
    assert "no request at all: the window of 5 s leaves out 2 of the 2 requests" in done.stderr
    assert "Fix: times in seconds from the window's beginning on" in done.stderr


def test_a_body_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read what nobody else may, so the kernel's refusal is a stand-in."""

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (tmp_path / "body").touch()
    with pytest.raises(UsageError, match=r"body' cannot be read: Permission denied$"):
        read_body(f"@{tmp_path / 'body'}")


def test_who_stops_reading_the_progress_does_not_end_the_run(serve: Serve, tmp_path: Path) -> None:
    url, file = f"http://127.0.0.1:{serve('echo')}/", tmp_path / "load.json"
    options = ("--rate", "50", "--warm-up", "0", "--duration", "2", "--json", str(file))
    argv = [sys.executable, "-m", "seatrial", "load", url, *options]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        popen.stderr.readline()
        popen.stderr.close()
        assert popen.wait(timeout=90) in {0, 7}

    assert json.loads(file.read_bytes())["outcomes"]["answered"] > 0


def test_help_teaches() -> None:
    done = load("--help")

    assert done.returncode == 0
    for words in ("URL", "--rate R", "--users N", "--header 'NAME: VALUE'", "--ca-file FILE", "INVALID"):
        assert words in done.stdout


def test_nothing_listens() -> None:
    done = load("http://127.0.0.1:9/", "--rate", "5")

    assert done.returncode == 3
    assert "does not answer" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "50", "--warm-up", "0"),
        ("--users", "2", "--think", "0.02", "--warm-up", "0"),
        ("--users", "2", "--think", "0.02", "--engine", "fast-http"),
        ("--users", "2", "--think", "0.02", "--engine", "http"),
    ],
    ids=["open", "closed", "fast-http", "http"],
)
def test_interrupted_it_says_what_there_is_and_leaves_nothing(serve: Serve, options: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{serve('echo')}/"
    argv = [sys.executable, "-m", "seatrial", "load", url, *options, "--duration", "60", "--json", "-"]
    result = interrupt(argv, "sent")

    assert "interrupted" in [reason["code"] for reason in result["reasons"]]
    assert not result["valid"]
    assert result["outcomes"]["answered"] > 0
    assert (result["rate"]["achieved"] is None) is (result["mode"] == "closed")


def test_interrupted_in_its_warm_up_it_says_so(serve: Serve) -> None:
    argv = [
        sys.executable,
        "-m",
        "seatrial",
        "load",
        f"http://127.0.0.1:{serve('echo')}/",
        "--rate",
        "50",
        "--json",
        "-",
    ]
    result = interrupt(argv, "warming up")

    assert result["reasons"][0]["message"].startswith(
        "the run ended before its time in the warm-up, and the timed window"
    )
    assert (result["duration_s"], result["valid"]) == (0.0, False)
    assert 0 < result["warm_up_s"] < 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "5", "--objective", "p99 > 5 ms"], "no bound from above"),
        (["--users", "5", "--objective", "p99 <= 5 ms"], "--objective was given with --users"),
        (["--find-rate"], "--find-rate was given without an objective"),
        (["--rate", "5", "--engine", "locsut"], "there is no engine 'locsut'"),
        (["--rate", "5", "--engine", "fast-http"], "has users and no schedule"),
        (["--rate", "5", "--workers", "0"], "--workers is 0"),
        (["--rate", "5", "--workers", "2", "--objective", "p99 <= 5 ms"], "look at all samples"),
        (["--rate", "5", "--engine", "locust", "--find-rate", "--objective", "p99 <= 5 ms"], "look at all samples"),
        (["--users", "5", "--engine", "http", "--warm-up", "auto"], "the engine http cannot be told when to begin"),
        (["--rate", "5", "--warm-up", "soon"], "seconds or auto were expected"),
        (["--rate", "5", "--think", "1"], "--think was given without --users"),
        (["--users", "5", "--arrivals", "constant"], "both --arrivals and --users were given"),
        (["--users", "5", "--arrivals", "ramp:1-5"], "both --arrivals and --users were given"),
        (["--rate", "5", "--arrivals", "ramp:1-5"], "--arrivals ramp:1-5 has rates of its own"),
        (["--rate", "5", "--whole"], "--whole was given without --objective"),
        (
            ["--find-rate", "--objective", "p99 <= 5 ms", "--arrivals", "ramp:1-5"],
            "--find-rate was given with --arrivals",
        ),
        (["--users", "2", "--workers", "3"], "2 users cannot be shared by 3 workers"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_are_said(arguments: list[str], words: str) -> None:
    done = load("http://127.0.0.1:1/", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert re.fullmatch(r"seatrial: .+\n(Fix: .+\n)?", done.stderr)


@pytest.mark.parametrize(("objective", "status"), [("p50 <= 10 ms", "missed"), ("p50 <= 5 s and errors < 1 %", "met")])
def test_an_objective_decides_the_exit_code(serve: Serve, objective: str, status: str) -> None:
    url = f"http://127.0.0.1:{serve('delay', 0.03)}/"
    options = ("--rate", "60", "--warm-up", "0", "--duration", "3", "--objective", objective, "--json", "-", "-q")
    done = load(url, *options)
    result = json.loads(done.stdout)

    jsonschema.validate(result, read_schema())
    assert result["judgement"]["status"] == (status if result["valid"] else "undecided")
    wanted = {"missed": 1, "met": 0}[status]
    assert done.returncode == (wanted if result["valid"] else 7)


@pytest.mark.parametrize(
    ("given", "engine", "warm_up_s"),
    [
        (None, "pacer", None),
        (None, "locust", None),
        (None, "fast-http", 0.0),
        (None, "http", 0.0),
        ("auto", "locust", None),
        ("0", "pacer", 0.0),
        ("2.5", "http", 2.5),
    ],
)
def test_the_warm_up_hangs_on_what_is_run(given: str | None, engine: str, warm_up_s: float | None) -> None:
    """None: until response times are level."""
    assert choose_warm_up(given, engine) == warm_up_s


@pytest.mark.parametrize("engine", ["pacer", "locust"])
def test_a_warm_up_is_as_long_as_it_takes_and_shown(serve: Serve, engine: str) -> None:
    """Without being asked for."""
    url = f"http://127.0.0.1:{serve('delay', 0.005)}/"
    done = load(url, "--rate", "50", "--duration", "1", "--engine", engine, "--json", "-", timeout_s=150)
    result = json.loads(done.stdout)

    assert done.returncode in {0, 7}, done.stderr
    assert 5.0 <= result["warm_up_s"] <= 66.0
    assert result["stationary"] in {True, False}
    assert result["warm_up"].startswith(("level", "p50")) or "never became stationary" in result["warm_up"]
    assert result["warm_up"].split(",")[0] in done.stderr, "it is shown while it goes on"
    assert result["duration_s"] == 1.0


@pytest.mark.parametrize("engine", ["fast-http", "locust"])
def test_another_engine_gives_the_same_result(serve: Serve, engine: str) -> None:
    url = f"http://127.0.0.1:{serve('echo')}/"
    done = load(url, "--users", "2", "--warm-up", "0", "--duration", "1", "--engine", engine, "--json", "-", "-q")
    result = json.loads(done.stdout)

    assert done.returncode in {0, 7}, done.stderr
    jsonschema.validate(result, read_schema())
    assert result["mode"] == "closed"
    assert result["outcomes"].get("answered") == result["requests"]
