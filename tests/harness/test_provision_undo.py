"""What was recorded is taken back, the last step first, and nothing else. Packages are removed by a scripted runner here."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioning import ScriptedRunner
from seatrial.provision import ProvisionError, Record, daemon, debootstrap, network, undo
from seatrial.provision.command import Completed, SystemRunner
from seatrial.provision.context import Context
from seatrial.provision.engine import SOCKET_CONFIG, WRAPPER_PATH

INSTALLED = "dpkg-query -W"


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.fixture(autouse=True)
def trees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where trees are built, in place of the machine's own directory."""
    directory = tmp_path / "trees"
    directory.mkdir()
    monkeypatch.setattr(debootstrap, "TREES", directory)
    return directory


def make_record(tmp_path: Path, *steps: tuple[str, dict[str, Any]]) -> Record:
    record = Record(tmp_path / "state")
    for kind, data in steps:
        record.finish(record.begin(kind, **data))
    return record


def test_steps_are_taken_back_in_reverse_and_forgotten(tmp_path: Path) -> None:
    runner = ScriptedRunner(
        {
            INSTALLED: "docker.io ii \nrunc ii \n",
            "apt-get purge -y docker.io runc --simulate": "Purg docker.io [20]\nPurg runc [1]\n",
            "getent group": "docker:x:990:\n",
        }
    )
    record = make_record(
        tmp_path,
        ("file", {"path": str(WRAPPER_PATH)}),
        ("group", {"name": "docker"}),
        ("packages", {"names": ["docker.io", "runc"], "keep_files": False}),
        ("image", {"reference": "seatrial/base:x", "image_id": "sha256:1"}),
    )
    said: list[str] = []

    undo(record, said.append, runner=runner)

    changes = [
        line for line in runner.seen if not line.startswith((INSTALLED, "getent", "sudo")) and "--simulate" not in line
    ]
    assert changes == [
        "env DEBIAN_FRONTEND=noninteractive apt-get purge -y docker.io runc",
        "groupdel docker",
        f"rm -f {WRAPPER_PATH}",
        f"rmdir {WRAPPER_PATH.parent}",
    ]
    assert Record(tmp_path / "state").steps == []


def test_packages_that_are_gone_already_are_not_removed_again(tmp_path: Path) -> None:
    runner = ScriptedRunner({INSTALLED: "kind un \n"})

    undo(make_record(tmp_path, ("packages", {"names": ["kind"], "keep_files": False})), lambda _: None, runner=runner)

    assert not any("apt-get" in line for line in runner.seen)


def test_data_that_was_there_before_survives_the_removal_of_packages(tmp_path: Path) -> None:
    runner = ScriptedRunner(
        {INSTALLED: "docker.io ii \n", "apt-get remove -y docker.io --simulate": "Remv docker.io [20]\n"}
    )

    undo(
        make_record(tmp_path, ("packages", {"names": ["docker.io"], "keep_files": True})), lambda _: None, runner=runner
    )

    assert runner.seen[-1] == "env DEBIAN_FRONTEND=noninteractive apt-get remove -y docker.io"
    assert not any("purge" in line for line in runner.seen)


def test_what_somebody_installed_on_top_stops_the_removal(tmp_path: Path) -> None:
    runner = ScriptedRunner({INSTALLED: "docker.io ii \n", "apt-get purge": "Purg theirs [1]\nPurg docker.io [20]\n"})
    record = make_record(tmp_path, ("packages", {"names": ["docker.io"], "keep_files": False}))

    with pytest.raises(ProvisionError, match="would also remove theirs"):
        undo(record, lambda _: None, runner=runner)

    assert not any(line.startswith("env ") for line in runner.seen)
    assert len(Record(tmp_path / "state").steps) == 1


def test_a_failure_keeps_what_was_not_taken_back(tmp_path: Path) -> None:
    def refuse(argv: Sequence[str]) -> Completed:
        return Completed(argv=tuple(argv), returncode=1, output="rm: read-only file system")

    record = make_record(
        tmp_path, ("file", {"path": "/first"}), ("file", {"path": "/second"}), ("file", {"path": "/third"})
    )

    with pytest.raises(ProvisionError, match="read-only file system"):
        undo(record, lambda _: None, runner=ScriptedRunner({"rm -f /second": refuse}))

    assert [step.data["path"] for step in Record(tmp_path / "state").steps] == ["/first", "/second"]


def test_a_group_that_somebody_joined_stays(tmp_path: Path) -> None:
    runner = ScriptedRunner({"getent group": "docker:x:990:ann\n"})

    undo(make_record(tmp_path, ("group", {"name": "docker"})), lambda _: None, runner=runner)

    assert not any("groupdel" in line for line in runner.seen)


def test_the_socket_is_the_packages_own_again_and_the_network_as_before(tmp_path: Path) -> None:
    def stopped(argv: Sequence[str]) -> Completed:
        return Completed(argv=tuple(argv), returncode=3, output="inactive")

    runner = ScriptedRunner({"systemctl is-active": stopped})
    record = make_record(
        tmp_path,
        ("network", {"bridge_existed": False, "forwarding": "0", "had_rules": True, "forward_policies": {}}),
        ("file", {"path": str(SOCKET_CONFIG)}),
        ("service", {"name": "docker", "started": True}),
    )

    undo(record, lambda _: None, runner=runner)

    assert [line for line in runner.seen if not line.startswith("sudo")] == [
        "systemctl stop docker.service docker.socket",
        f"rm -f {SOCKET_CONFIG}",
        f"rmdir {SOCKET_CONFIG.parent}",
        "systemctl daemon-reload",
        "systemctl is-active --quiet docker",
        "ip link delete docker0",
        "sysctl -q -w net.ipv4.ip_forward=0",
    ]


def test_the_network_of_an_engine_that_still_runs_is_left(tmp_path: Path) -> None:
    runner = ScriptedRunner()
    network_before = {"bridge_existed": False, "forwarding": "0", "had_rules": False, "forward_policies": {}}

    undo(make_record(tmp_path, ("network", network_before)), lambda _: None, runner=runner)

    assert not any(line.startswith(("ip ", "sysctl", "iptables")) for line in runner.seen)


def test_nothing_recorded_means_nothing_done(tmp_path: Path) -> None:
    said: list[str] = []
    runner = ScriptedRunner()

    undo(Record(tmp_path / "state"), said.append, runner=runner)

    assert (runner.seen, said) == ([], ["nothing to take back: nothing was provisioned from here"])


class _Busy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps([{"Names": ["/somebody"]}]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("busy_engine")
def test_an_engine_with_containers_is_left_running(tmp_path: Path) -> None:
    runner = ScriptedRunner()
    record = make_record(tmp_path, ("engine", {"pid": 1}))

    with pytest.raises(ProvisionError, match="somebody"):
        undo(record, lambda _: None, runner=runner)

    assert not any(line.startswith(("kill", "rm")) for line in runner.seen)


@pytest.fixture
def dockerd(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that the kernel calls dockerd."""
    program = tmp_path / "dockerd"
    program.symlink_to(sys.executable)
    with subprocess.Popen([str(program), "-c", "import time; time.sleep(60)"]) as process:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii").strip() != "dockerd":
            assert time.monotonic() < deadline
        yield process
        process.kill()


def _engine_data(tmp_path: Path, pid: int, start_ticks: int | None, *, existed: bool) -> dict[str, Any]:
    data_root = tmp_path / "data-root"
    data_root.mkdir()
    (data_root / "layer").touch()
    log, pid_file = tmp_path / "dockerd.log", tmp_path / "dockerd.pid"
    log.touch()
    pid_file.write_text(str(pid), encoding="ascii")
    return {
        "pid": pid, "start_ticks": start_ticks, "pid_file": str(pid_file), "log": str(log), "data_root": str(data_root),
        "data_root_existed": existed, "key_existed": True, "containerd_existed": True, "network": {},
    }  # fmt: skip


class LocalRunner:
    """Runs for real, as this user."""

    def run(
        self, argv: Sequence[str], *, as_root: bool = False, stdin: str | None = None, timeout_s: float = 60.0
    ) -> Completed:
        return SystemRunner().run(argv, stdin=stdin, timeout_s=timeout_s)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="engines are started by hand on Linux only"
)


@needs_proc
def test_the_engine_that_was_started_is_stopped_and_its_data_removed(
    tmp_path: Path, dockerd: subprocess.Popen[bytes]
) -> None:
    data = _engine_data(tmp_path, dockerd.pid, daemon._read_start_ticks(dockerd.pid), existed=False)
    context = Context(record=Record(tmp_path / "state"), progress=lambda _: None, runner=LocalRunner())

    daemon.stop_daemon(context, data)

    assert dockerd.wait(timeout=10) == -15
    assert [path for path in ("data-root", "dockerd.log", "dockerd.pid") if (tmp_path / path).exists()] == []


@needs_proc
def test_a_process_that_took_over_the_number_is_not_stopped(tmp_path: Path, dockerd: subprocess.Popen[bytes]) -> None:
    data = _engine_data(tmp_path, dockerd.pid, 1, existed=True)
    context = Context(record=Record(tmp_path / "state"), progress=lambda _: None, runner=LocalRunner())

    daemon.stop_daemon(context, data)

    assert dockerd.poll() is None
    assert (tmp_path / "data-root/layer").exists()


@needs_proc
def test_what_a_killed_build_left_behind_goes_and_a_build_that_runs_stays(tmp_path: Path, trees: Path) -> None:
    killed, running, fresh = (trees / f"{debootstrap.PREFIX}{name}" for name in ("killed", "running", "fresh"))
    for directory in (killed, running, fresh):
        (directory / "tree").mkdir(parents=True)
    for directory in (killed, running):
        os.utime(directory, (0, 0))
    said: list[str] = []

    with debootstrap._locking(running):
        undo(Record(tmp_path / "state"), said.append, runner=LocalRunner())

    assert sorted(path.name for path in trees.iterdir()) == [fresh.name, running.name]
    assert str(killed) in said[0]


DOCKER_RULES = (
    ":FORWARD DROP [0:0]\n-A FORWARD -j DOCKER-USER\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
)


@pytest.mark.parametrize(
    ("before", "rules", "flushed"),
    [
        ({"had_rules": False, "forward_policies": {"iptables": "ACCEPT"}}, DOCKER_RULES, True),
        (
            {"had_rules": False, "forward_policies": {"iptables": "ACCEPT"}},
            f"{DOCKER_RULES}-A INPUT -p tcp -j DROP\n",
            False,
        ),
        ({"had_rules": True, "forward_policies": {"iptables": "ACCEPT"}}, DOCKER_RULES, False),
        ({}, DOCKER_RULES, False),
    ],
)
def test_only_a_firewall_that_was_empty_and_holds_the_engines_rules_is_emptied(
    before: dict[str, Any], rules: str, flushed: bool
) -> None:
    runner = ScriptedRunner({"iptables-save": rules})

    network.restore(runner, before, lambda _: None)

    assert ("iptables -t nat -F" in runner.seen) is flushed
    assert ("iptables -P FORWARD ACCEPT" in runner.seen) is flushed


def test_the_network_is_observed_with_the_policy_that_an_engine_changes() -> None:
    saved = "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\nCOMMIT\n"

    seen = network.observe(ScriptedRunner({"iptables-save": saved}))

    assert (seen["had_rules"], seen["forward_policies"]) == (False, {"iptables": "DROP", "ip6tables": "ACCEPT"})
