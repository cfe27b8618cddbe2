"""The owner and its reaper, with real processes: what a trial started is gone, however its run ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seatrial.errors import HarnessError, UsageError
from seatrial.owner import (
    Directory,
    File,
    KindCluster,
    NamedNetwork,
    Owner,
    OwnerClient,
    OwnerGoneError,
    Process,
    SpawnError,
    find_leftovers,
    sweep,
)
from seatrial.owner import reaper as reaper_script
from seatrial.owner.journal import Journal, is_alive
from seatrial.owner.reaping import processes

# The run that is killed: it owns a tree of processes and a directory, says what it made, and waits.
RUN = """
import json, os, sys, time
from pathlib import Path
from seatrial.owner import Owner
owner = Owner.start(sys.argv[1], Path(sys.argv[2]))
made = {"run": os.getpid(), "reaper": owner.reaper_pid, "token": owner.client_token()}
folder = owner.directory("seatrial-test-")
(folder / "deep").mkdir()
(folder / "deep" / "file").write_text("x")
(folder / "deep").chmod(0o555)
made["directory"] = str(folder)
pids = folder / "pids"
def note(command): return f"{command} & echo $! >> {pids}; "
script = (
    note("sleep 1000")
    + note("sh -c 'trap \\"\\" TERM; while :; do sleep 1000; done'")
    + note("env -i setsid sleep 1000")
    + f"setsid sh -c 'sh -c \\"sleep 1000 & echo \\\\$! >> {pids}\\" &' ; "
    + "wait"
)
tree = owner.spawn(["sh", "-c", script], env={"PATH": os.environ["PATH"]})
while not pids.exists() or len(pids.read_text().split()) < 4:
    time.sleep(0.02)
made["processes"] = [tree.pid, *map(int, pids.read_text().split())]
if "--fork" in sys.argv and os.fork() == 0:
    time.sleep(1000)
print(json.dumps(made), flush=True)
time.sleep(1000)
"""


def eventually(holds: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def runs(pid: int) -> bool:
    return processes.start_time(pid) is not None


class Run:
    """A run in a process group of its own, and what it said it made."""

    def __init__(self, trial_id: str, state_dir: Path, *options: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", RUN, trial_id, str(state_dir), *options],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        self.made = json.loads(self.popen.stdout.readline())

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def is_gone(self) -> bool:
        return not Path(self.made["directory"]).exists() and not any(runs(pid) for pid in self.made["processes"])

    def is_whole(self) -> bool:
        return Path(self.made["directory"]).exists() and all(runs(pid) for pid in self.made["processes"])

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


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


@pytest.fixture
def trial_id(request: pytest.FixtureRequest) -> str:
    return f"t{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"


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


@pytest.fixture
def inner_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the trial's inside tmp_path, so that other places in tmp_path are outside of it."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_only_marked_or_temporary_directories_are_removed(trial_id: str, tmp_path: Path, inner_temp: Path) -> None:
    owner = Owner.start(trial_id, tmp_path / "state")
    unmarked, others, inside = tmp_path / "unmarked", tmp_path / "others", inner_temp / "inside"
    for path in (unmarked, others, inside):
        owner.adopt(Directory(path=str(path)))
        path.mkdir()
    (others / ".seatrial-owned").write_text("another-trial\n")
    marked = owner.directory("marked-", parent=tmp_path)
    owner.adopt(Directory(path=str(inner_temp)))
    outcomes = {each.id: each.how.partition(":")[0] for each in owner.close()}
    assert outcomes == {
        str(unmarked): "refused",
        str(others): "refused",
        str(inner_temp): "refused",
        str(inside): "removed",
        str(marked): "removed",
    }
    assert unmarked.exists()
    assert others.exists()
    assert not inside.exists()
    assert not marked.exists()


def test_links_do_not_lead_out_of_the_temporary_directory(trial_id: str, tmp_path: Path, inner_temp: Path) -> None:
    victim = tmp_path / "outside" / "victim"
    victim.mkdir(parents=True)
    (inner_temp / "way").symlink_to(victim.parent)
    (inner_temp / "link").symlink_to(victim)
    holder = inner_temp / "holder"
    holder.mkdir()
    (holder / "link").symlink_to(victim)
    owner = Owner.start(trial_id, tmp_path / "state")
    for path in (inner_temp / "way" / "victim", inner_temp / "link", holder, inner_temp / ".." / "outside"):
        owner.adopt(Directory(path=str(path)))
    outcomes = [each.how.partition(":")[0] for each in owner.close()]
    assert sorted(outcomes) == ["refused", "refused", "removed", "removed"]
    assert victim.exists()
    assert [each.name for each in inner_temp.iterdir()] == ["way"]


def test_a_socket_file_is_removed_and_a_file_elsewhere_is_not(trial_id: str, tmp_path: Path, inner_temp: Path) -> None:
    mine, other = inner_temp / "engine.sock", tmp_path / "precious"
    owner = Owner.start(trial_id, tmp_path / "state")
    for path in (mine, other):
        owner.adopt(File(path=str(path)))
        path.write_text("")
    owner.close()
    assert not mine.exists()
    assert other.exists()


def test_a_clean_trial_leaves_no_file_and_reports_no_leftover(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path / "state") as owner:
        popen = owner.spawn(["sleep", "1000"], env=os.environ)
        folder = owner.directory("seatrial-test-")
        assert len(owner.journal.open_entries()) == 2
        assert owner.end(popen, 5.0) == -signal.SIGTERM
        owner.remove_directory(folder)
        assert owner.journal.open_entries() == {}
        reaper = owner.reaper_pid
    assert owner.close() == []
    assert not folder.exists()
    assert not list((tmp_path / "state").iterdir())
    assert not runs(reaper)


def test_close_says_what_was_not_given_back(trial_id: str, tmp_path: Path) -> None:
    owner = Owner.start(trial_id, tmp_path)
    folder = owner.directory("seatrial-test-")
    popen = owner.spawn(["sh", "-c", "trap '' TERM; echo; exec sleep 1000"], env=os.environ, stdout=subprocess.PIPE)
    with popen:
        assert popen.stdout is not None
        popen.stdout.readline()
        found = {each.kind: each for each in owner.close()}
    assert (found["directory"].id, found["directory"].how) == (str(folder), "removed")
    assert found["process"].id.startswith(f"{popen.pid} ")
    assert found["process"].how == "killed"


def test_close_does_the_work_of_a_killed_reaper(trial_id: str, tmp_path: Path) -> None:
    owner = Owner.start(trial_id, tmp_path)
    folder = owner.directory("seatrial-test-")
    os.kill(owner.reaper_pid, signal.SIGKILL)
    assert [(each.id, each.how) for each in owner.close()] == [(str(folder), "removed")]
    assert not folder.exists()


def test_end_takes_the_whole_group_and_tells_how_the_leader_ended(trial_id: str, tmp_path: Path) -> None:
    script = "trap 'exit 7' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 1000' & wait"
    with Owner.start(trial_id, tmp_path) as owner:
        popen = owner.spawn(["sh", "-c", script], env=os.environ, stdout=subprocess.PIPE)
        assert popen.stdout is not None
        stubborn = int(popen.stdout.readline())
        assert owner.end(popen, 0.5) == 7
        assert not runs(stubborn)
        popen.stdout.close()
        assert owner.close() == []


def test_end_after_the_leader_was_waited_for_still_takes_the_group(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path) as owner:
        popen = owner.spawn(["sh", "-c", "sleep 1000 & echo $!"], env=os.environ, stdout=subprocess.PIPE)
        assert popen.stdout is not None
        orphan = int(popen.stdout.readline())
        popen.stdout.close()
        popen.wait(timeout=5)
        assert owner.end(popen, 0.5) == 0
        assert not runs(orphan)


def test_a_program_that_cannot_start_is_an_error_and_no_entry(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path) as owner:
        with pytest.raises(SpawnError, match=r"no-such-program.*\nFix: "):
            owner.spawn(["no-such-program"], env=os.environ)
        assert owner.journal.open_entries() == {}


def test_a_directory_of_somebody_else_is_not_removed(trial_id: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Owner.start(trial_id, tmp_path / "state") as owner, pytest.raises(HarnessError, match="not in the journal"):
        owner.remove_directory(other)
    assert other.exists()


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


def test_nothing_is_recorded_without_a_reaper(trial_id: str, tmp_path: Path) -> None:
    owner = Owner.start(trial_id, tmp_path)
    client = OwnerClient.attach(owner.client_token())
    owner.close()
    with pytest.raises(OwnerGoneError, match="no owner"):
        client.spawn(["sleep", "1000"], env=os.environ)
    with pytest.raises(OwnerGoneError):
        OwnerClient.attach(owner.client_token())
    client.journal.close()


def test_lines_of_several_processes_stay_whole(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path) as owner:
        writer = (
            "import json, sys; from seatrial.owner import Borrowed, OwnerClient\n"
            "client = OwnerClient.attach(json.loads(sys.argv[1]))\n"
            "for number in range(200): client.adopt(Borrowed(name=f'{sys.argv[2]}{number}-' + 'x' * 500))"
        )
        token = json.dumps(owner.client_token())
        writers = [subprocess.Popen([sys.executable, "-c", writer, token, name]) for name in "abc"]
        assert [each.wait() for each in writers] == [0, 0, 0]
        assert len(owner.journal.open_entries()) == 600


def test_a_torn_line_costs_only_itself(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path) as owner:
        with owner.journal.path.open("a") as file:
            file.write('{"op": "create", "id": "torn", "entr')
        folder = owner.directory("seatrial-test-")
        assert [entry.to_json()["path"] for entry in owner.journal.open_entries().values()] == [str(folder)]
    assert not folder.exists()


def test_a_trial_cannot_start_twice_or_with_an_odd_id(trial_id: str, tmp_path: Path) -> None:
    with Owner.start(trial_id, tmp_path):
        with pytest.raises(UsageError, match="already"):
            Owner.start(trial_id, tmp_path)
        with pytest.raises(UsageError, match="cannot be the id"):
            Owner.start("../x", tmp_path)


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


def test_an_engine_that_does_not_answer_is_said_and_the_rest_is_done(trial_id: str, tmp_path: Path) -> None:
    owner = Owner.start(trial_id, tmp_path)
    owner.adopt(NamedNetwork(name=f"seatrial-{trial_id}", docker_host=f"unix://{tmp_path}/no.sock"))
    folder = owner.directory("seatrial-test-")
    found = {each.kind: each.how for each in owner.close()}
    assert found["directory"] == "removed"
    assert found["engine"].startswith("unreachable: ")
    assert found["named-network"].startswith("unreachable: "), "what may be there is named"
    assert not folder.exists()
    assert "engine" in {each.kind for each in find_leftovers(tmp_path, only_trial=trial_id)}


def test_names_that_could_be_anybodys_are_not_adopted() -> None:
    with pytest.raises(UsageError, match="'kind'"):
        NamedNetwork(name="kind", docker_host="unix:///x")
    with pytest.raises(UsageError, match="'kind'"):
        KindCluster(name="kind", docker_host="unix:///x")
    with pytest.raises(UsageError, match="relative"):
        Directory(path="some/where")
