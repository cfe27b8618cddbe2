"""What a machine lacks is found without changing it, and what would be done is said."""

from __future__ import annotations

import dataclasses
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import BARE, MAC, NO_CANDIDATE, UBUNTU, ScriptedRunner, fail, make_context
from seatrial.errors import ExitCode
from seatrial.provision import KubernetesSettings, ProvisionError, apt, kind, plan
from seatrial.provision.debootstrap import choose_recipe
from seatrial.provision.engine_api import EngineUnavailableError, ask_engine, find_engine_url
from seatrial.provision.machine import Machine, inspect_machine


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program on the PATH and no engine."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.mark.usefixtures("bare")
def test_a_plan_names_everything_in_order_and_does_nothing(tmp_path: Path) -> None:
    runner = ScriptedRunner({"apt-cache policy": NO_CANDIDATE})
    archive = tmp_path / "node.tar.zst"
    archive.touch()
    settings = KubernetesSettings(node_image="node:offline", node_archive=archive)

    actions = plan(["kubernetes", "mlflow"], settings, machine=BARE, runner=runner)

    assert [action.name for action in actions] == ["Docker engine", "kind", "kubectl", "node image", "base image"]
    assert all(action.why.startswith("kubernetes: ") and action.commands for action in actions)
    assert {line.split()[0] for line in runner.seen} == {"apt-cache"}
    assert any("docker load" in command for command in actions[3].commands)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("targets", [[], ["local", "inprocess", "mlflow", "gradio", "url"], ["somebody-elses"]])
def test_targets_without_images_need_nothing(targets: list[str]) -> None:
    assert plan(targets, KubernetesSettings(), machine=BARE, runner=ScriptedRunner()) == []


@pytest.mark.usefixtures("bare")
def test_a_cluster_that_runs_needs_neither_kind_nor_engine() -> None:
    settings = KubernetesSettings(context="staging")

    actions = plan(["kubernetes"], settings, machine=BARE, runner=ScriptedRunner())

    assert [action.name for action in actions] == ["kubectl"]


@pytest.mark.usefixtures("bare")
def test_where_nothing_can_be_installed_the_plan_says_how_to_get_it() -> None:
    actions = plan(["docker", "kubernetes"], KubernetesSettings(), machine=MAC, runner=ScriptedRunner())

    commands = {action.name: action.commands[0] for action in actions}
    assert "https://docs.docker.com" in commands["Docker engine"]
    assert "https://kind.sigs.k8s.io" in commands["kind"]


@pytest.mark.usefixtures("bare")
def test_the_wrapper_is_planned_only_where_a_capability_is_missing() -> None:
    lacking = plan(["docker"], KubernetesSettings(), machine=BARE, runner=ScriptedRunner())[0].commands
    whole = plan(["docker"], KubernetesSettings(), machine=UBUNTU, runner=ScriptedRunner())[0].commands

    assert any("--default-runtime" in command for command in lacking)
    assert not any("runtime" in command or "runc" in command for command in whole)
    assert whole[-1] == "systemctl start docker"


@pytest.mark.usefixtures("bare")
def test_where_kind_has_no_package_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    runner = ScriptedRunner({"apt-cache policy": NO_CANDIDATE, "kind version": fail("not found")})

    with pytest.raises(ProvisionError, match="ubuntu noble") as caught:
        kind.ensure_kind(make_context(tmp_path, runner, UBUNTU))

    assert "https://kind.sigs.k8s.io" in caught.value.fix
    assert caught.value.exit_code is ExitCode.REQUIREMENT_UNMET
    assert not any("install" in line for line in runner.seen)


@pytest.mark.parametrize(
    ("machine", "policy", "commands"),
    [
        (UBUNTU, NO_CANDIDATE, (f"none: {kind.GET_KIND}",)),
        (UBUNTU, "Candidate: 0.27\n", (apt.format_install("kind"),)),
        (dataclasses.replace(BARE, codename="trixie"), NO_CANDIDATE, ("apt-get update", apt.format_install("kind"))),
    ],
)
def test_a_package_is_promised_only_where_there_is_one(
    machine: Machine, policy: str, commands: tuple[str, ...]
) -> None:
    assert kind.list_kind_commands(ScriptedRunner({"apt-cache policy": policy}), machine) == commands


@pytest.mark.parametrize(
    ("machine", "python", "release"),
    [(BARE, (3, 11), "bookworm"), (BARE, (3, 13), "trixie"), (BARE, (3, 12), "bookworm"), (UBUNTU, (3, 10), "jammy")],
)
def test_an_image_is_made_of_the_release_with_the_same_python(
    machine: Machine, python: tuple[int, int], release: str
) -> None:
    recipe = choose_recipe(machine, python)

    assert recipe.release == release
    assert recipe.reference == f"seatrial/base:{release}-amd64-{recipe.digest}"


def test_facts_are_read_from_the_files_of_a_machine(tmp_path: Path) -> None:
    for path, content in {
        "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_CODENAME="trixie"\n',
        "proc/sys/kernel/cap_last_cap": "40\n",
        "proc/self/status": "Name:\tx\nCapBnd:\t000001fffeffffff\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="ascii")
    (tmp_path / "run/systemd/system").mkdir(parents=True)

    machine = inspect_machine(tmp_path)

    assert (machine.distribution, machine.codename, machine.has_systemd) == ("debian", "trixie", True)
    assert machine.missing_capabilities == ("CAP_SYS_RESOURCE",)
    assert not machine.is_debian_before("trixie")
    assert BARE.is_debian_before("trixie")


def test_the_current_context_of_the_docker_client_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    meta = tmp_path / "contexts/meta/abc"
    meta.mkdir(parents=True)
    told = {"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///tmp/colima.sock"}}}
    (meta / "meta.json").write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "config.json").write_text('{"currentContext": "colima"}', encoding="utf-8")

    assert find_engine_url() == "unix:///tmp/colima.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert find_engine_url() == "tcp://127.0.0.1:1"


class _Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing_engine() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("url", ["unix:///nowhere.sock", "tcp://127.0.0.1:9", "ssh://host", "npipe:////./pipe/docker"])
def test_no_answer_is_one_kind_of_error_with_the_address(url: str) -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        ask_engine("/version", url=url)

    assert url in caught.value.message


def test_an_engine_that_refuses_is_not_taken_for_one_that_answers(refusing_engine: str) -> None:
    with pytest.raises(EngineUnavailableError, match="status 503"):
        ask_engine("/version", url=refusing_engine)


def test_probes_load_no_sdk() -> None:
    program = "import sys, seatrial.provision; print(*{'docker', 'requests', 'psutil', 'numpy'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
