"""The owner and its reaper, with real processes: what a trial started is given back, or said, and nothing else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from killed_runs import runs
from seatrial.errors import HarnessError, UsageError
from seatrial.owner import (
    Directory,
    File,
    KindCluster,
    NamedNetwork,
    Owner,
    OwnerClient,
    OwnerGoneError,
    SpawnError,
    find_leftovers,
)


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
