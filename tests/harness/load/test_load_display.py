"""How far a load run is, as its user sees it: a bar on a terminal that leaves no trace, plain lines elsewhere, or nothing."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from seatrial.cli.load_bar import Bar
from seatrial.cli.load_display import Display, Lines, NoDisplay, open_display
from seatrial.load.live import LiveFigures, Snapshot
from seatrial.load.plan import Destination, Plan, Progress
from seatrial.load.samples import SAMPLE, Outcome, Samples

TERMINAL = runpy.run_path(str(Path(__file__).with_name("terminal.py")))
Screen, run_on_terminal = TERMINAL["Screen"], TERMINAL["run_on_terminal"]

Serve = Callable[..., int]
PLAN = Plan(destination=Destination(), requests=(), cases=(), mode="open", duration_s=10.0, warm_up_s=5.0)
SNAPSHOT = Snapshot(
    elapsed_s=12.34,
    left_s=67.0,
    phase="window",
    share=0.25,
    sent=2468,
    in_flight=3,
    failed=1,
    rate=1234.5,
    p50_s=0.00612,
    p99_s=0.0134,
)
WORDS = "1,234.5/s   p50 6.12 ms   p99 13.4 ms   1 error   2,468 sent   3 in flight"


def progress(elapsed_s: float, failed: int = 0) -> Progress:
    return Progress(elapsed_s=elapsed_s, sent=50, ended=48, failed=failed, in_flight=2)


def make_samples(count: int, took_ms: float, *, phase: int = 0, outcome: Outcome = Outcome.ANSWERED) -> Samples:
    samples = np.zeros(count, SAMPLE)
    samples["last_ns"] = int(took_ms * 1e6)
    samples["phase"], samples["outcome"] = phase, outcome
    return samples


def command(port: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "seatrial", "load", f"http://127.0.0.1:{port}/", *options]


def test_a_warm_up_has_no_times() -> None:
    seen = LiveFigures(PLAN).add(progress(2.0), [make_samples(100, 5.0, phase=1)], "not level yet")

    assert (seen.phase, seen.share, seen.left_s) == ("warm-up", 0.4, 13.0)
    assert (seen.rate, seen.p50_s, seen.p99_s, seen.note) == (None, None, None, "not level yet")


def test_times_are_those_of_the_window_with_failures_above_all_answers() -> None:
    live = LiveFigures(PLAN)
    live.add(progress(5.9), [make_samples(50, 900.0, phase=1), make_samples(120, 5.0)])
    seen = live.add(progress(7.9, failed=30), [make_samples(280, 5.0), make_samples(30, 1.0, outcome=Outcome.REFUSED)])

    assert seen.p50_s == pytest.approx(0.005, rel=1e-3)
    assert seen.p99_s is None
    assert seen.rate == pytest.approx(400 / 3.0)
    assert (seen.phase, seen.failed) == ("window", 30)
    assert (seen.left_s, seen.share) == (pytest.approx(7.0), pytest.approx(0.3))


def test_a_warm_up_that_ends_early_begins_the_window() -> None:
    live = LiveFigures(PLAN)
    seen = live.add(progress(3.0), [make_samples(10, 5.0)])

    assert (seen.phase, seen.left_s) == ("window", pytest.approx(9.0))


def test_after_the_window_there_is_the_drain() -> None:
    live = LiveFigures(PLAN)
    live.add(progress(6.0), [make_samples(10, 5.0)])
    seen = live.add(progress(20.0), [make_samples(90, 5.0)])

    assert (seen.phase, seen.left_s, seen.share, seen.rate) == ("drain", 0.0, 1.0, 10.0)


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"TERM": "xterm"}, Bar),
        ({"TERM": "xterm", "CI": "false", "NO_COLOR": ""}, Bar),
        ({"TERM": "dumb"}, Lines),
        ({}, Lines),
        ({"TERM": "xterm", "CI": "true"}, Lines),
        ({"TERM": "xterm", "NO_COLOR": "1"}, Lines),
    ],
)
def test_a_terminal_has_a_bar_unless_lines_are_asked_for(
    terminal: TextIO, environ: Mapping[str, str], wanted: type[Display]
) -> None:
    assert type(open_display(terminal, environ, quiet=False)) is wanted
    assert type(open_display(terminal, environ, quiet=True)) is NoDisplay
    assert type(open_display(io.StringIO(), {"TERM": "xterm"}, quiet=False)) is Lines


def test_a_line_has_everything() -> None:
    stream = io.StringIO()
    Lines(stream).show(SNAPSHOT, "40/s")

    assert stream.getvalue() == f"40/s [  12.3 s] 1 min 7 s left, {WORDS.replace('   ', ', ')}\n"


@pytest.mark.parametrize(("in_flight", "said"), [(3, "waiting for what is pending"), (0, "done")])
def test_the_last_word_of_progress_is_no_figure_which_the_result_may_withhold(in_flight: int, said: str) -> None:
    stream = io.StringIO()
    Lines(stream).show(replace(SNAPSHOT, phase="drain", left_s=0.0, in_flight=in_flight))

    assert stream.getvalue() == f"[  12.3 s] {said}, 1 error, 2,468 sent, {in_flight} in flight\n"


@pytest.mark.parametrize("width", [80, 40, 20])
def test_a_bar_is_drawn_in_its_place_and_wiped_out(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    stream, screen = io.StringIO(), Screen(width)
    bar = Bar(stream)

    def see() -> list[str]:
        screen.write(stream.getvalue().replace("\n", "\r\n"))
        stream.seek(0)
        stream.truncate()
        return screen.lines

    bar.say("before")
    for _ in range(3):
        bar.show(SNAPSHOT, "40/s")
    assert len(see()) == 3
    if width == 80:
        assert re.fullmatch(r"40/s window ━+╸?╺?━+  25% 1 min 7 s left", see()[1])
        assert see()[2] == WORDS
    assert max(len(line) for line in see()) <= width - 4
    bar.say("meanwhile")
    assert see()[:2] == ["before", "meanwhile"]
    bar.clear()
    bar.say("after")
    assert "\n".join(see()).rstrip() == "before\nmeanwhile\nafter"
    assert screen.is_cursor_shown


def test_a_bar_is_drawn_when_there_is_news_and_at_no_other_time() -> None:
    """It must not cost the measurement: nothing runs beside it."""
    threads, bar = threading.active_count(), Bar(io.StringIO())
    bar.show(SNAPSHOT)

    assert threading.active_count() == threads
    bar.clear()


def test_a_run_on_a_terminal_is_a_bar_and_then_its_table(serve: Serve) -> None:
    argv = command(serve("delay", 0.005), "--rate", "60", "--warm-up", "2", "--duration", "3")
    with run_on_terminal(argv) as program:
        program.wait_for(r"warm-up ━.* \d+ s left")
        program.wait_for(r"window ━.* \d s left\n[\d.]+/s   p50 [\d.]+ ms   p99 .*   0 errors")
        assert program.end() in {0, 7}
        screen = program.look()

    assert not re.search("━|left|in flight", program.see()), "nothing of the bar is left"
    assert re.match(r"http\S+ answers with status 200.*\n(waiting .*\n)?http\S+ open loop, poisson 60/s", program.see())
    assert (screen.is_cursor_shown, screen.lines[-1]) == (True, "")


class InterruptedStream(io.StringIO):
    """Its user presses Ctrl-C in the midst of what is written."""

    def __init__(self, at_flush: int) -> None:
        super().__init__()
        self._left = at_flush

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self._left -= 1
        if not self._left:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("at_flush", range(1, 9))
def test_an_interrupt_in_the_midst_of_drawing_leaves_nothing(at_flush: int) -> None:
    stream = InterruptedStream(at_flush)
    bar = Bar(stream)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def show_all() -> None:
        for _ in range(9):
            bar.show(SNAPSHOT)

    with pytest.raises(KeyboardInterrupt):
        show_all()
    bar.clear()

    screen = Screen()
    screen.write(stream.getvalue().replace("\n", "\r\n"))
    assert not [line for line in screen.lines if line.strip()]
    assert screen.is_cursor_shown
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


@pytest.mark.parametrize(
    "options", [("--rate", "60", "--warm-up", "0"), ("--rate", "60"), ("--users", "2", "--warm-up", "0")]
)
def test_ctrl_c_leaves_the_terminal_clean(serve: Serve, options: tuple[str, ...]) -> None:
    with run_on_terminal(command(serve("delay", 0.005), *options, "--duration", "60")) as program:
        program.wait_for("━(.|\n)*in flight")
        program.type("\x03")
        assert program.end() == 130

    assert not re.search("━|left|in flight", program.see())
    assert "interrupted: the run ended before its time" in program.see()
    assert program.look().is_cursor_shown


def test_sigterm_leaves_the_terminal_clean(serve: Serve) -> None:
    with run_on_terminal(command(serve("delay", 0.005), "--rate", "60", "--duration", "60")) as program:
        program.wait_for("━(.|\n)*in flight")
        program.popen.terminate()
        assert program.end() == 130

    assert not re.search("━|left|in flight", program.see())
    assert program.look().is_cursor_shown


def test_an_error_leaves_the_terminal_clean(serve: Serve) -> None:
    with run_on_terminal(command(serve("delay", 0.005), "--rate", "60", "--duration", "60")) as program:
        program.wait_for("━(.|\n)*in flight")
        (pacer,) = [each for each in find_children(program.popen.pid) if "seatrial.load.pacer" in each[1]]
        os.kill(pacer[0], signal.SIGKILL)
        assert program.end() == 6

    assert not re.search("━|left|in flight", program.see())
    assert re.search("^seatrial: the pacer broke", program.see(), re.MULTILINE)
    assert program.look().is_cursor_shown


def test_whoever_kills_it_has_a_terminal_with_a_cursor(serve: Serve) -> None:
    argv = command(serve("delay", 0.005), "--rate", "60", "--duration", "60")
    with run_on_terminal(argv) as program:
        program.wait_for("━(.|\n)*in flight")
        program.popen.kill()
        program.end()

    assert program.look().is_cursor_shown


def test_a_search_keeps_a_line_of_every_rate_above_its_bar(serve: Serve) -> None:
    """And Ctrl-C ends all of it, with what is known by then."""
    options = (
        "--find-rate",
        "--rate",
        "60",
        "--warm-up",
        "0",
        "--duration",
        "2",
        "--objective",
        "p50 <= 5 s",
        "--whole",
    )
    with run_on_terminal(command(serve("delay", 0.005), *options), width=120) as program:
        program.wait_for(r"\n60/s: (.|\n)*/s window ━")
        program.type("\x03")
        assert program.end() == 130

    assert not re.search("━|left|in flight", program.see())
    assert re.search(r"interrupted: kept (up to|at no) .*, when the search had made \d+ runs and was", program.see())


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_lines_are_had_on_a_terminal_too(serve: Serve, environ: dict[str, str]) -> None:
    argv = command(serve("delay", 0.005), "--rate", "60", "--warm-up", "0", "--duration", "2")
    with run_on_terminal(argv, environ=environ) as program:
        assert program.end() in {0, 7}

    assert re.search(r"\n\[   0.\d s\] \d s left, [\d.]+/s, p50 ", program.see())
    assert "\x1b" not in program.text


def test_a_pipe_has_lines_and_quiet_is_quiet(serve: Serve) -> None:
    argv = command(serve("delay", 0.005), "--rate", "60", "--warm-up", "0", "--duration", "2", "--json", "-")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env={**os.environ, "TERM": "xterm"})

    assert re.search(r"^\[   0.\d s\] \d s left, [\d.]+/s, p50 ", done.stderr, re.MULTILINE)
    assert "\x1b" not in done.stderr
    assert json.loads(done.stdout)["mode"] == "open"
    with run_on_terminal([*argv, "--quiet"]) as program:
        program.end()
    assert json.loads(program.text)["mode"] == "open", "nothing but the result, even on a terminal"


@pytest.mark.parametrize("options", [("--rate", "60", "--engine", "locust"), ("--users", "2", "--engine", "fast-http")])
def test_other_engines_have_a_bar_too(serve: Serve, options: tuple[str, ...]) -> None:
    options += ("--warm-up", "0", "--duration", "4")
    with run_on_terminal(command(serve("delay", 0.005), *options)) as program:
        program.wait_for(r"window ━.*\n.*0 errors   [1-9]\d* sent")
        assert program.end() in {0, 7}

    assert not re.search("━|left|in flight", program.see())


def find_children(pid: int) -> list[tuple[int, str]]:
    import psutil

    return [(each.pid, " ".join(each.cmdline())) for each in psutil.Process(pid).children(recursive=True)]
