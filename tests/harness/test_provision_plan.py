"""What a machine lacks is found without changing it, and got in order."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from seatrial.cli import provision as cli_provision
from seatrial.errors import ExitCode
from seatrial.provision import (
    Action,
    KubernetesSettings,
    ProvisionError,
    ProvisionFailedError,
    Record,
    apply,
    apt,
    daemon,
    engine,
    kind,
    plan,
)
from seatrial.provision.command import Completed, root_command
from seatrial.provision.context import Context
from seatrial.provision.debootstrap import choose_recipe
from seatrial.provision.engine import ensure_engine
from seatrial.provision.engine_api import DEFAULT_URL, EngineUnavailableError, ask_engine, find_engine_url
from seatrial.provision.machine import Machine, inspect_machine
from seatrial.settings import read_settings

BARE = Machine(
    system="Linux", distribution="debian", codename="bookworm", architecture="amd64", has_apt=True, has_systemd=False,
    missing_capabilities=("CAP_SYS_RESOURCE",),
)  # fmt: skip
UBUNTU = Machine(
    system="Linux", distribution="ubuntu", codename="noble", architecture="amd64", has_apt=True, has_systemd=True
)
MAC = Machine(system="Darwin", distribution="", codename="", architecture="arm64", has_apt=False, has_systemd=False)
NO_CANDIDATE = "x:\n  Installed: (none)\n  Candidate: (none)\n"


@dataclass
class ScriptedRunner:
    """Runs nothing: answers by the beginning of the command, and remembers what was asked."""

    answers: dict[str, Callable[[Sequence[str]], Completed] | str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, as_root: bool = False, stdin: str | None = None, timeout_s: float = 0.0
    ) -> Completed:
        line = " ".join(argv)
        self.seen.append(line)
        answer = next((answer for start, answer in self.answers.items() if line.startswith(start)), "")
        return Completed(argv=tuple(argv), returncode=0, output=answer) if isinstance(answer, str) else answer(argv)


def fail(output: str) -> Callable[[Sequence[str]], Completed]:
    return lambda argv: Completed(argv=tuple(argv), returncode=100, output=output)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program on the PATH and no engine."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


def make_context(tmp_path: Path, runner: ScriptedRunner, machine: Machine = BARE) -> Context:
    return Context(record=Record(tmp_path / "state"), progress=lambda _: None, runner=runner, machine=machine)


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


def test_an_engine_named_by_the_user_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/theirs.sock")
    runner = ScriptedRunner()

    with pytest.raises(ProvisionError, match=r"theirs\.sock") as caught:
        ensure_engine(make_context(tmp_path, runner))

    assert "unset DOCKER_HOST" in caught.value.fix
    assert runner.seen == []


@pytest.mark.usefixtures("bare")
def test_where_kind_has_no_package_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    runner = ScriptedRunner({"apt-cache policy": NO_CANDIDATE, "kind version": fail("not found")})

    with pytest.raises(ProvisionError, match="ubuntu noble") as caught:
        kind.ensure_kind(make_context(tmp_path, runner, UBUNTU))

    assert "https://kind.sigs.k8s.io" in caught.value.fix
    assert caught.value.exit_code is ExitCode.REQUIREMENT_UNMET
    assert not any("install" in line for line in runner.seen)


def test_without_root_and_sudo_the_error_holds_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    runner = ScriptedRunner({"sudo -n true": fail("sudo: a password is required")})

    with pytest.raises(ProvisionError, match="needs root") as caught:
        apt.install(make_context(tmp_path, runner), "kind")

    assert "apt-get install -y --no-install-recommends --no-remove kind" in caught.value.fix
    assert runner.seen == ["sudo -n true"]
    assert root_command(["id"]) == ("sudo", "-n", "id")


def test_packages_are_recorded_before_they_are_installed(tmp_path: Path) -> None:
    context_of: list[Context] = []

    def install(argv: Sequence[str]) -> Completed:
        (step,) = Record(context_of[0].record.state_dir).steps
        assert (step.kind, step.data["names"], step.done) == ("packages", ["libx", "kind"], False)
        return Completed(argv=tuple(argv), returncode=0, output="")

    runner = ScriptedRunner(
        {
            "apt-cache policy": "Candidate: 1.0\n",
            " ".join((*apt.INSTALL, "--simulate")): "Inst libx (1 D)\nInst liby [1] (2 D)\nInst kind (1 D)\n",
            "env DEBIAN_FRONTEND=noninteractive apt-get install": install,
        }
    )
    context_of.append(make_context(tmp_path, runner))

    apt.install(context_of[0], "kind")

    assert [step.done for step in Record(tmp_path / "state").steps] == [True]


def test_an_installation_that_fails_stays_recorded_and_shows_its_last_lines(tmp_path: Path) -> None:
    runner = ScriptedRunner(
        {
            "apt-cache policy": "Candidate: 1.0\n",
            "apt-get install": "Inst kind (1 D)\n",
            "env DEBIAN_FRONTEND=noninteractive apt-get install": fail("E: Unable to fetch some archives"),
        }
    )
    with pytest.raises(ProvisionError, match="E: Unable to fetch some archives"):
        apt.install(make_context(tmp_path, runner), "kind")

    (step,) = Record(tmp_path / "state").steps
    assert (step.data["names"], step.done) == (["kind"], False)
    assert runner.seen.count("apt-get update") == 1


@pytest.mark.parametrize(("uid", "gives"), [(1000, True), (0, False)])
def test_the_socket_of_an_engine_that_was_installed_goes_to_the_group_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, gives: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(engine, "SOCKET_CONFIG", tmp_path / "docker.socket.d" / "seatrial.conf")
    monkeypatch.setattr(engine, "_has_dockerd", lambda: False)
    monkeypatch.setattr(engine, "find_engine_url", lambda: DEFAULT_URL)

    def ask(path: str) -> dict[str, str]:
        if not any(line.startswith("systemctl start docker") for line in runner.seen):
            raise EngineUnavailableError("none yet")
        return {"Version": "1"}

    monkeypatch.setattr(engine, "ask_engine", ask)
    installed = "Inst docker.io (1 D)\nInst iptables (1 D)\n"
    runner = ScriptedRunner({"apt-cache policy": "Candidate: 1.0\n", " ".join((*apt.INSTALL, "--simulate")): installed})

    ensure_engine(make_context(tmp_path, runner, UBUNTU))

    steps = Record(tmp_path / "state").steps
    kinds = [step.kind for step in steps if step.kind != "group"]
    # The network is given back after the service has ended and before the packages, which hold iptables, go.
    assert kinds == ["packages", "network", *(["file"] if gives else []), "service"]
    assert all(step.done for step in steps)
    assert steps[-1].data["started"] is True
    lines = [line for line in runner.seen if line.startswith(("install -D", "systemctl"))]
    given = [
        f"install -D -m 644 /dev/stdin {engine.SOCKET_CONFIG}",
        "systemctl daemon-reload",
        "systemctl stop docker.service docker.socket",
        "systemctl start docker.socket docker.service",
    ]
    assert lines == [*(given if gives else []), "systemctl is-active --quiet docker", "systemctl start docker"]
    observed = runner.seen.index("iptables-save")
    assert observed < next(at for at, line in enumerate(runner.seen) if line.startswith("env DEBIAN_FRONTEND"))


def test_an_engine_that_ends_while_it_starts_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "DEFAULT_URL", f"unix://{tmp_path}/no.sock")
    state = tmp_path / "state"

    def start(argv: Sequence[str]) -> Completed:
        # A process id that this kernel never gives.
        (state / "dockerd.pid").write_text("4194305", encoding="ascii")
        (state / "dockerd.log").write_text("level=fatal msg=no space left\n", encoding="ascii")
        return Completed(argv=tuple(argv), returncode=0, output="")

    context = make_context(tmp_path, ScriptedRunner({"env -u SEATRIAL_TRIAL setsid": start}))

    with pytest.raises(ProvisionError, match="level=fatal msg=no space left") as caught:
        daemon.start_daemon(context, (), data_root_existed=True)

    assert "--undo" in caught.value.fix
    assert [(step.kind, step.done) for step in Record(state).steps] == [("engine", False)]


def make_action(name: str, done: list[str], *, broken: bool = False, needs_engine: bool = False) -> Action:
    def run(context: Context) -> None:
        if broken:
            raise ProvisionError(f"no {name} here", fix=f"get {name}")
        done.append(name)

    targets = frozenset({"kubernetes"})
    return Action(name=name, why="", commands=(), run=run, targets=targets, needs_engine=needs_engine)


def test_one_failure_does_not_keep_the_rest_from_being_done(tmp_path: Path) -> None:
    done: list[str] = []
    actions = [
        make_action("kind", done, broken=True),
        make_action("kubectl", done),
        make_action("base image", done, needs_engine=True),
    ]

    with pytest.raises(ProvisionFailedError, match="no kind here") as caught:
        apply(actions, Record(tmp_path / "state"), lambda _: None)

    assert done == ["kubectl", "base image"]
    assert [failure.action.name for failure in caught.value.failures] == ["kind"]
    assert (caught.value.fix, caught.value.exit_code) == ("get kind", ExitCode.REQUIREMENT_UNMET)


def test_without_an_engine_what_needs_it_is_left_out(tmp_path: Path) -> None:
    done: list[str] = []
    actions = [
        make_action("Docker engine", done, broken=True),
        make_action("kind", done, broken=True),
        make_action("kubectl", done),
        make_action("base image", done, needs_engine=True),
    ]

    with pytest.raises(ProvisionFailedError, match=r"(?s)no Docker engine here.*no kind here"):
        apply(actions, Record(tmp_path / "state"), lambda _: None)

    assert done == ["kubectl"]


@pytest.mark.parametrize(
    ("target", "environ", "must", "raises"),
    [
        (["all"], {}, False, False),
        (["all"], {}, True, True),
        (["all"], {"CI": "true"}, False, True),
        (["inprocess,kubernetes"], {}, False, True),
        (["all", "inprocess"], {}, False, False),
    ],
)
def test_only_who_insists_is_stopped_by_what_cannot_be_had(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: list[str],
    environ: dict[str, str],
    must: bool,
    raises: bool,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    actions = [make_action("kind", [], broken=True)]
    monkeypatch.setattr(cli_provision, "plan_actions", lambda settings: actions)
    settings = read_settings(tmp_path, {}).with_given({"target": target, "state_dir": str(tmp_path)}, "test")
    said: list[str] = []

    with pytest.raises(ProvisionFailedError) if raises else contextlib.nullcontext():
        cli_provision.provision_targets(settings, said.append, must=must)

    assert any("kubernetes" in line and "will not run" in line for line in said) is not raises


def test_packages_of_the_wrapper_script_are_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / cli_provision.PACKAGES_FILE).write_text("python3-pip-whl\npython3-venv\n", encoding="utf-8")
    settings = read_settings(tmp_path, {}).with_given({"state_dir": str(tmp_path / "state")}, "test")

    for _ in range(2):
        steps = [(step.kind, step.data, step.done) for step in cli_provision.open_record(settings).steps]
        names = ["python3-pip-whl", "python3-venv"]
        assert steps == [("packages", {"names": names, "keep_files": False}, True)]

    assert not (tmp_path / cli_provision.PACKAGES_FILE).exists()


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


def test_an_empty_plan_leaves_no_trace(tmp_path: Path) -> None:
    apply([], Record(tmp_path / "state"), progress=pytest.fail)

    assert not (tmp_path / "state").exists()


def test_two_processes_do_not_provision_at_once(tmp_path: Path) -> None:
    with (
        Record(tmp_path).locked(),
        pytest.raises(ProvisionError, match="another process"),
        Record(tmp_path).locked(0.05),
    ):
        pytest.fail("both have the lock")


def test_a_broken_record_is_named_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "provision.json").write_text('{"steps": [{"kind": 1}]}', encoding="utf-8")

    with pytest.raises(ProvisionError, match=r"provision\.json"):
        Record(tmp_path)

    assert "kind" in (tmp_path / "provision.json").read_text(encoding="utf-8")


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
