"""What a run that was killed has made is gone: the reaper takes it, or a sweep, and neither takes what is not its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from killed_runs import Run, runs
from seatrial.owner import Directory, Owner, Process, find_leftovers, sweep
from seatrial.owner import reaper as reaper_script
from seatrial.owner.journal import Journal, is_alive
from seatrial.owner.reaping import processes
from waiting import eventually


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def start(trial_id: str, *options: str) -> Run:
        started.append(Run(trial_id, tmp_path / "state", *options))
        return started[-1]

    yield start
    for run in started:
        run.close()
    assert eventually(lambda: not any(runs(run.made["reaper"]) for run in started), within_s=30)
    for run in started:
        sweep(tmp_path / "state", only_trial=run.made["token"]["trial_id"])


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as popen:
        yield popen
        popen.kill()


def test_all_is_gone_after_kill_9_of_the_run(start_run: Callable[..., Run], trial_id: str) -> None:
    run = start_run(trial_id)
    assert len(run.made["processes"]) == 5
    assert run.is_whole()
    run.kill()
    assert eventually(run.is_gone, within_s=15)


def test_a_forked_child_that_holds_the_pipe_does_not_delay_the_reaper(
    start_run: Callable[..., Run], trial_id: str
) -> None:
    run = start_run(trial_id, "--fork")
    run.kill()
    try:
        assert eventually(run.is_gone, within_s=15)
    finally:
        os.killpg(run.popen.pid, signal.SIGKILL)


def test_ctrl_c_to_the_group_and_signals_to_the_reaper_leave_it_working(
    start_run: Callable[..., Run], trial_id: str
) -> None:
    run = start_run(trial_id)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(run.made["reaper"], number)
    os.killpg(run.popen.pid, signal.SIGINT)
    run.popen.wait(timeout=10)
    assert eventually(run.is_gone, within_s=15)


def test_a_second_live_trial_is_untouched(start_run: Callable[..., Run], trial_id: str, tmp_path: Path) -> None:
    dead, live = start_run(f"{trial_id}-a"), start_run(f"{trial_id}-b")
    dead.kill()
    assert eventually(dead.is_gone, within_s=15)
    assert eventually(lambda: not runs(dead.made["reaper"]), within_s=15)
    for state_dir in (tmp_path / "state", tmp_path / "of another user"):
        assert sweep(state_dir, only_trial=f"{trial_id}-b") == []
        assert live.is_whole()


def test_sweep_finds_what_a_killed_reaper_left(start_run: Callable[..., Run], trial_id: str, tmp_path: Path) -> None:
    run = start_run(trial_id)
    os.kill(run.made["reaper"], signal.SIGKILL)
    run.kill()
    assert eventually(lambda: not is_alive(Path(run.made["token"]["journal"])), within_s=5)
    found = find_leftovers(tmp_path / "state", only_trial=trial_id)
    assert {each.trial_id for each in found} == {trial_id}
    assert sorted(each.kind for each in found) >= ["directory", "process", "process", "process", "process", "process"]
    assert {each.how for each in found} == {"found"}
    assert run.is_whole()
    assert all(each.is_gone for each in sweep(tmp_path / "state", only_trial=trial_id))
    assert run.is_gone()
    assert find_leftovers(tmp_path / "state", only_trial=trial_id) == []
    assert not list((tmp_path / "state").iterdir())


def test_sweep_finds_marked_processes_of_a_trial_without_a_journal(trial_id: str, tmp_path: Path) -> None:
    env = {**os.environ, "SEATRIAL_TRIAL": trial_id}
    with subprocess.Popen(["sleep", "1000"], env=env, start_new_session=True) as popen:
        try:
            found = sweep(tmp_path, only_trial=trial_id)
            assert popen.wait(timeout=5) == -signal.SIGTERM
            assert [(each.kind, each.how) for each in found] == [("process", "terminated")]
        finally:
            popen.kill()


def test_a_sweep_beside_trials_that_come_and_go_takes_nothing_and_does_not_stumble(
    trial_id: str, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from seatrial.owner import Owner\n"
        "for number in range(10):\n"
        "    with Owner.start(f'{sys.argv[1]}-{number}', Path(sys.argv[2])) as owner:\n"
        "        owner.remove_directory(owner.directory('seatrial-test-'))\n"
        "    assert owner.close() == []"
    )
    with subprocess.Popen([sys.executable, "-c", script, trial_id, str(tmp_path)]) as trials:
        looks = 0
        while trials.poll() is None:
            assert sweep(tmp_path, only_trial=f"{trial_id}-{looks % 10}") == []
            looks += 1
    assert trials.returncode == 0
    assert looks > 10


def test_a_recycled_pid_is_not_killed(trial_id: str, tmp_path: Path, stranger: subprocess.Popen[bytes]) -> None:
    started = processes.start_time(stranger.pid)
    assert started is not None
    owner = Owner.start(trial_id, tmp_path)
    owner.adopt(Process(pid=stranger.pid, start_time=started - 1, pgid=stranger.pid))
    assert owner.close() == []
    assert stranger.poll() is None


def test_a_process_of_an_earlier_boot_is_not_killed(
    trial_id: str, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    started = processes.start_time(stranger.pid)
    journal = {"op": "trial", "trial": trial_id, "schema": 1, "boot": "another", "temp_dir": str(tmp_path)}
    entry = {"kind": "process", "pid": stranger.pid, "start_time": started, "pgid": stranger.pid}
    lines = [json.dumps(journal), json.dumps({"op": "create", "id": "1", "entry": entry})]
    (tmp_path / f"{trial_id}.journal").write_text("\n".join(lines))
    assert sweep(tmp_path, only_trial=trial_id) == []
    assert stranger.poll() is None


def test_the_very_process_recorded_is_killed(trial_id: str, tmp_path: Path, stranger: subprocess.Popen[bytes]) -> None:
    started = processes.start_time(stranger.pid)
    assert started is not None
    owner = Owner.start(trial_id, tmp_path)
    owner.adopt(Process(pid=stranger.pid, start_time=started, pgid=stranger.pid))
    assert [each.how for each in owner.close()] == ["terminated"]
    assert stranger.wait(timeout=5) == -signal.SIGTERM


CLIENT = """
import json, os, subprocess, sys
from seatrial.owner import OwnerClient, OwnerGoneError
client = OwnerClient.attach(json.loads(sys.argv[1]))
try:
    for _ in range(1000):
        client.spawn(["sleep", "1000"], env=os.environ, stdout=subprocess.DEVNULL)
        print(client.directory("seatrial-client-"), flush=True)
except OwnerGoneError:
    print("gone", flush=True)
"""


def test_a_client_appends_while_the_owner_dies(start_run: Callable[..., Run], trial_id: str) -> None:
    run = start_run(trial_id)
    command = [sys.executable, "-c", CLIENT, json.dumps(run.made["token"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
        assert client.stdout is not None
        folders = [client.stdout.readline().strip()]
        run.kill()
        folders += [line.strip() for line in client.stdout]
    assert folders.pop() == "gone"
    assert eventually(lambda: not runs(run.made["reaper"]), within_s=15)
    assert not [each for each in folders if Path(each).exists()]
    assert not [each for each in processes.list_running().values() if each.marker == trial_id]


def test_the_reaper_needs_nothing_but_the_standard_library(trial_id: str, tmp_path: Path) -> None:
    source = Path(reaper_script.__file__).parent
    shutil.copy(source / "reaper.py", tmp_path)
    shutil.copytree(source / "reaping", tmp_path / "reaping", ignore=shutil.ignore_patterns("__pycache__"))
    journal, folder = tmp_path / "x.journal", tmp_path / "folder"
    folder.mkdir()
    Journal.create(journal, trial_id=trial_id).write(
        {"op": "create", "id": "1", "entry": Directory(path=str(folder)).to_json()}
    )
    command = [sys.executable, "-I", "-S", str(tmp_path / "reaper.py"), "--journal", str(journal), "--trial", trial_id]
    result = subprocess.run(command, input=b"finish\n", capture_output=True, cwd="/", env={}, timeout=20)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(Path(f"{journal}.reaped.json").read_text()) == [
        {"kind": "directory", "id": str(folder), "how": "removed"}
    ]
