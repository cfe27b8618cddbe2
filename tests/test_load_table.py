"""The command that measures the load engine against its table: its closed forms, that a miss is a miss, and what it writes."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from chance import is_likely
from seatrial.errors import HarnessError
from seatrial.load.analysis import analyse
from seatrial.load.arrivals import Constant, Poisson
from seatrial.load.host_lock import HostLock
from seatrial.load.schedules import make_schedule
from seatrial_fixtures.specimens.behaviour import Behaviour, Exponential, Fixed, Stall, draw_services
from seatrial_fixtures.specimens.timetable import Timetable

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a machine of its own; the directory of its files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def is_kept(lock: Path) -> bool:
    """Whether a trial that wanted to use the machine would have to wait."""
    try:
        with HostLock(lock, patience_s=0.0).disturb():
            return False
    except HarnessError:
        return True


def test_ended_by_a_signal_it_leaves_nothing_running() -> None:
    argv = [sys.executable, str(SCRIPTS / "measure_load.py"), "--quick", "--only", "lag"]
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as popen:
        deadline_s = time.monotonic() + 60.0
        # The specimen, `seatrial load`, its pacer.
        while len(started := psutil.Process(popen.pid).children(recursive=True)) < 2:
            assert time.monotonic() < deadline_s, "it starts nothing"
            time.sleep(0.02)
        popen.send_signal(signal.SIGTERM)
        _, said = popen.communicate(timeout=30)

    assert popen.returncode == 130, said
    assert "interrupted: what was measured stands above, and nothing is left running" in said.splitlines()
    psutil.wait_procs(started, timeout=10)
    assert [each for each in started if each.is_running()] == []


def follow(behaviour: Behaviour, arrivals_ns: list[int]) -> np.ndarray:
    timetable = Timetable(behaviour)
    return np.array([timetable.place(number, number, each)[1] for number, each in enumerate(arrivals_ns)])


@pytest.mark.parametrize("stall_s", [0.5, 1.0, 2.0])
def test_the_closed_form_of_a_stall_is_what_the_specimen_does(stall_s: float) -> None:
    from load_table.stall import DELAY_S, QUANTILES, RATE, predict

    sends = make_schedule(Constant(rate=RATE), duration_s=30.0, seed=1).offsets_ns
    behaviour = Behaviour(service=Fixed(seconds=DELAY_S), stalls=(Stall(at_s=10.0, length_s=stall_s),))
    took_s = (follow(behaviour, sends.tolist()) - sends) / 1e9

    expected = predict(30.0, 10.0, stall_s)
    for name, p in QUANTILES.items():
        assert expected[name] == pytest.approx(float(np.quantile(took_s, p, method="inverted_cdf")), abs=1e-8)
    assert expected["max"] == pytest.approx(stall_s + DELAY_S, abs=1 / RATE)


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_lindleys_recursion_is_what_the_specimen_does(load: float) -> None:
    from load_table.one_worker import SERVICE_S, follow_lindley

    sends = make_schedule(Poisson(rate=load / SERVICE_S), duration_s=10.0, seed=3).offsets_ns
    service = Exponential(mean_s=SERVICE_S)
    behaviour = Behaviour(service=service, workers=1, stalls=(Stall(at_s=3.0, length_s=1.0),), seed=3)
    stall_ns = (int(sends[0]) + 3 * 10**9, int(sends[0]) + 4 * 10**9)

    ends = follow_lindley(sends, draw_services(service, 3, len(sends)), stall_ns)

    assert ends.tolist() == follow(behaviour, sends.tolist()).tolist()


def test_a_stall_that_is_not_charged_is_a_miss() -> None:
    from load_table.stall import judge, predict

    expected = predict(30.0, 10.0, 1.0)
    exact = dict.fromkeys(expected, 0.0)

    assert judge(1.0, [exact] * 5, expected, 5).met
    assert judge(1.0, [{**exact, "p50": 0.00019, "p99": 0.013}] * 5, expected, 5).met
    assert not judge(1.0, [{**exact, "p50": 0.00021}] * 5, expected, 5).met
    assert not judge(1.0, [{**exact, "p99": -0.5}] * 5, expected, 5).met
    assert not judge(1.0, [], expected, 5).met
    assert not judge(1.0, [exact] * 3, expected, 5).met, "runs that could not measure are no runs"


def test_where_the_surplus_goes_is_a_remark_that_is_neither_met_nor_missed() -> None:
    from load_table.row import render
    from load_table.stall import read_parts
    from measure_load import conclude

    remark = read_parts("p50", [{"to the server": 30e-6}, {"to the server": 34e-6}])

    assert "a remark    to the server 32 us\n" in render("stall", remark)
    assert not re.search("met|measured", render("stall", remark))
    assert conclude({"stall": [remark]}, [], strict=True) == ("0 met, 0 NOT MET, 0 not measured\n", 0)


def test_the_steps_of_the_slowest_requests_are_theirs_alone() -> None:
    """Of 1,000 requests that take a millisecond, the last ten wait for two more: on their way to the pacer."""
    from load_table.stall import take_apart
    from seatrial.load.samples import SAMPLE
    from seatrial.load.specimen import SERVED

    samples, served = np.zeros(1000, SAMPLE), np.zeros(1000, SERVED)
    samples["first_ns"] = samples["last_ns"] = 1_000_000
    served["written_ns"] = served["due_ns"] = 900_000
    served["arrived_ns"] = 40_000
    samples["first_ns"][-10:] += 2_000_000
    samples["last_ns"][-10:] += 2_000_000
    measured = SimpleNamespace(samples=samples, served=served)

    everybody, slowest = take_apart(measured, 0.0, 1.0), take_apart(measured, 0.99, 1.0)
    assert everybody["to the pacer"] == pytest.approx(100e-6)
    assert slowest["to the pacer"] == pytest.approx(2.1e-3)
    assert everybody["to the server"] == slowest["to the server"] == pytest.approx(40e-6)


def test_arrivals_that_are_no_poisson_process_are_a_miss() -> None:
    from load_table.schedule import WINDOWS, find_dispersion

    rng = np.random.default_rng(1)
    poisson = make_schedule(Poisson(rate=100), duration_s=WINDOWS, seed=1).offsets_ns
    even = np.sort(np.concatenate([second + rng.random(100) for second in range(WINDOWS)]) * 1e9).astype(np.int64)

    assert is_likely(find_dispersion(poisson))
    assert not is_likely(find_dispersion(even))


def test_the_records_whose_analysis_is_weighed_are_those_of_a_valid_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from load_table import memory
    from load_table.analyse_alone import read_peak, read_run

    monkeypatch.setattr(memory, "RECORDS", 200_000)
    memory.write_run(tmp_path)
    run = read_run(tmp_path)
    result = analyse(run)

    assert len(run.samples) == result.requests == 200_000
    assert (result.valid, result.reasons) == (True, ())
    assert result.response_time_s.p99_9 is not None
    assert read_peak(Path("/proc/self/status")) > 10_000_000


def test_the_command_prints_and_writes_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    argv = [sys.executable, str(SCRIPTS / "measure_load.py"), "--quick", "--json", str(file)]
    argv += ["--only", "percentiles", "--only", "answers"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    table = json.loads(file.read_bytes())

    assert list(table["rows"]) == ["percentiles", "answers"]
    readings = [reading for row in table["rows"].values() for reading in row]
    assert done.returncode == 0, done.stdout
    assert [reading["met"] for reading in readings] == [True, True], done.stdout
    assert done.stdout.count("must reach") == len(readings)
    assert all(reading["reached"] in done.stdout for reading in readings)


@pytest.mark.parametrize(("known", "code"), [((), 1), (("throughput/wrk",), 1), (("throughput/wrk", "lag"), 0)])
def test_what_was_not_measured_is_as_bad_as_a_miss_where_it_is_to_be(known: tuple[str, ...], code: int) -> None:
    from load_table.row import Reading
    from measure_load import conclude

    lines = {
        row: [Reading(bound=bound, what="a", must="b", reached="c", met=None)]
        for row, bound in (("lag", ""), ("throughput", "wrk"))
    }
    told, strict_code = conclude(lines, known, strict=True)

    assert strict_code == code
    assert ("throughput/wrk was not measured, which --strict does not allow\n" in told) is (
        "throughput/wrk" not in known
    )
    assert ("lag was not measured" in told) is bool(code)
    assert told.endswith("2 not measured\n")
    assert conclude(lines, known)[1] == 0


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_strict_is_an_option(monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int) -> None:
    import measure_load
    from load_table.row import Options, Reading

    def read(_: Options) -> list[Reading]:
        return [Reading(what="a", must="b", reached="c", met=None)]

    monkeypatch.setattr(measure_load, "ROWS", {"lag": read})
    monkeypatch.setattr(sys, "argv", ["measure_load.py", *options])
    with pytest.raises(SystemExit) as ended:
        measure_load.main()

    assert ended.value.code == code


@pytest.mark.parametrize(
    ("met", "known", "code", "said"),
    [
        (False, (), 1, "    NOT MET\n0 met, 1 NOT MET, 0 not measured\n"),
        (False, ("lag/other",), 1, "lag/other is known as a miss, and is no bound: lag/slow\n0 met, 1 NOT MET"),
        (False, ("lag/slow",), 0, "    missed (known)\n0 met, 0 NOT MET, 1 missed (known), 0 not measured\n"),
        (False, ("lag/slow", "stall"), 0, "    missed (known)\n0 met, 0 NOT MET, 1 missed (known), 0 not measured\n"),
        (
            True,
            ("lag/slow",),
            0,
            "    met, though known as a miss\nlag/slow is known as a miss, and is met\n1 met, 0 NOT MET",
        ),
        (True, ("lag",), 1, "    met\nlag is known as a miss, and is no bound: lag/slow\n1 met, 0 NOT MET"),
        (None, ("lag/slow",), 0, "    not measured\n0 met, 0 NOT MET, 0 missed (known), 1 not measured\n"),
    ],
)
def test_a_miss_is_an_exit_code_unless_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    met: bool | None,
    known: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    import measure_load
    from load_table.row import Options, Reading

    def read(_: Options) -> list[Reading]:
        return [Reading(bound="slow", what="a", must="b", reached="c", met=met)]

    monkeypatch.setattr(measure_load, "ROWS", {"lag": read, "stall": read})
    named = [word for name in known for word in ("--known-miss", name)]
    monkeypatch.setattr(sys, "argv", ["measure_load.py", "--only", "lag", *named])
    with pytest.raises(SystemExit) as ended:
        measure_load.main()

    assert ended.value.code == code
    assert said in capsys.readouterr().out


def test_a_known_miss_of_no_row_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import measure_load

    monkeypatch.setattr(sys, "argv", ["measure_load.py", "--known-miss", "throughputs/FastHttpUser"])
    with pytest.raises(SystemExit) as ended:
        measure_load.main()

    assert ended.value.code == 2
    assert "throughputs is no row" in capsys.readouterr().err


def test_the_known_misses_of_each_night_are_bounds_of_the_table() -> None:
    from load_table.row import name_bound
    from load_table.throughput import read_lack

    workflow = (SCRIPTS.parent / ".github" / "workflows" / "load-table.yml").read_text(encoding="utf-8")
    known = set(re.findall(r"--known-miss (\S+)", workflow))

    assert known <= {name_bound("throughput", reading) for reading in read_lack("not installed")}


def test_each_night_has_what_its_rows_need_and_is_red_where_one_is_not_measured() -> None:
    from load_table.clients import INSTALL
    from load_table.nginx import PACKAGES

    workflow = (SCRIPTS.parent / ".github" / "workflows" / "load-table.yml").read_text(encoding="utf-8")
    (installed,) = re.findall(r"apt-get install (.+)", workflow)
    by_apt = {how.removeprefix("apt-get install ") for how in INSTALL.values() if how.startswith("apt-get install ")}

    assert by_apt | set(PACKAGES.values()) <= set(installed.split())
    assert {how for how in INSTALL.values() if not how.startswith("apt-get")} == {"pip install 'seatrial[load]'"}
    assert ".[all]" in workflow, "which has seatrial[load] in it"
    assert re.search(r"measure_load\.py [^\n]*--strict", workflow)


def test_a_row_keeps_the_machine_unless_what_it_starts_does(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import measure_load
    from load_table.row import Options, Reading

    kept: dict[str, bool] = {}

    def make_row(name: str) -> object:
        def measure(_: Options) -> list[Reading]:
            kept[name] = is_kept(lock)
            return []

        return measure

    monkeypatch.setattr(measure_load, "ROWS", {name: make_row(name) for name in measure_load.ROWS})
    monkeypatch.setattr(sys, "argv", ["measure_load.py"])
    with pytest.raises(SystemExit):
        measure_load.main()

    assert {name for name, is_so in kept.items() if not is_so} == {"throughput", "percentiles", "intervals"}
    assert len(kept) == len(measure_load.ROWS)
    assert not is_kept(lock)


def test_of_several_clients_each_has_the_machine_and_the_command_keeps_it_itself(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from load_table import throughput
    from load_table.row import Options

    kept: dict[tuple[str, int], bool] = {}

    def make_client(name: str) -> object:
        def run(loop: throughput.Loop) -> throughput.Run:
            kept[name, loop.users] = is_kept(lock)
            return throughput.Run(1.0)

        return run

    monkeypatch.setattr(throughput, "CLIENTS", {name: make_client(name) for name in throughput.CLIENTS})
    monkeypatch.setattr(throughput, "serve_nginx", lambda *_, **__: contextlib.nullcontext("http://127.0.0.1:9/"))
    monkeypatch.setattr(throughput, "explain_lack", lambda: "")
    list(throughput.measure_throughput(Options(quick=True, repeats=1)))

    assert kept == {(name, users): name != "seatrial" for name in throughput.CLIENTS for users in throughput.CROWDS}
    assert not is_kept(lock)
