"""What a machine lacks is got in order, each step recorded before it is taken."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from provisioning import UBUNTU, ScriptedRunner, fail, make_context
from seatrial.cli import provision as cli_provision
from seatrial.errors import ExitCode
from seatrial.provision import Action, ProvisionError, ProvisionFailedError, Record, apply, apt, daemon, engine
from seatrial.provision.command import Completed, root_command
from seatrial.provision.context import Context
from seatrial.provision.engine import ensure_engine
from seatrial.provision.engine_api import DEFAULT_URL, EngineUnavailableError
from seatrial.settings import read_settings


def test_an_engine_named_by_the_user_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/theirs.sock")
    runner = ScriptedRunner()

    with pytest.raises(ProvisionError, match=r"theirs\.sock") as caught:
        ensure_engine(make_context(tmp_path, runner))

    assert "unset DOCKER_HOST" in caught.value.fix
    assert runner.seen == []


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
