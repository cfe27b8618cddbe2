"""A Docker engine on a machine that has none: installed from Debian packages, started by systemd or by hand."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from seatrial.provision import apt, daemon, network
from seatrial.provision.command import ProvisionError
from seatrial.provision.context import Context
from seatrial.provision.engine_api import (
    DEFAULT_URL,
    EngineForbiddenError,
    EngineUnavailableError,
    ask_engine,
    find_engine_url,
    is_answering,
)
from seatrial.provision.machine import Machine
from seatrial.provision.record import Step

DAEMON_CONFIG = Path("/etc/docker/daemon.json")
WRAPPER_PATH = Path("/usr/local/lib/seatrial/runc")
WRAPPER_SOURCE = Path(__file__).parent / "runc_wrapper.py"
RUNTIME_NAME = "seatrial-runc"
GROUP = "docker"
# A user who is not root, and whom a group would only be given at the next login, gets the socket by this.
SOCKET_CONFIG = Path("/etc/systemd/system/docker.socket.d/seatrial.conf")
UNITS = ("docker.socket", "docker.service")
GET_DOCKER = "install Docker: https://docs.docker.com/engine/install/ (or Docker Desktop), and start it"
JOIN_GROUP = f"sudo usermod -aG {GROUP} $USER, then log in again"


def list_commands(machine: Machine) -> tuple[str, ...]:
    """Return the commands that `ensure_engine` would run on `machine`, to be shown."""
    if not machine.has_apt:
        return (f"none: {GET_DOCKER}",)
    wrapper = (f"install -D -m 755 {WRAPPER_SOURCE} {WRAPPER_PATH}",) if machine.missing_capabilities else ()
    install = () if _has_dockerd() else (apt.format_install("docker.io"),)
    if not machine.has_systemd:
        return (*wrapper, *install, daemon.format_start(_runtime_options(machine)))
    configure = (f"write {DAEMON_CONFIG}: {json.dumps(_daemon_config())}",) if wrapper else ()
    socket = (f"write {SOCKET_CONFIG}: {' '.join(_socket_config().split())}",) if install and _needs_socket() else ()
    return (*wrapper, *install, *configure, *socket, "systemctl start docker")


def ensure_engine(context: Context) -> None:
    """Bring up an engine at the default address, unless one answers. Raises ProvisionError."""
    if _answers_already(context):
        return
    machine = context.machine
    if not machine.has_apt:
        raise ProvisionError(f"no Docker engine, and no apt on {machine} to install one with", fix=GET_DOCKER)
    context.require_root("starting a Docker engine", list_commands(machine))
    data_root_existed = context.runner.run(["test", "-e", str(daemon.DATA_ROOT)], as_root=True).returncode == 0
    before = _observe_network(context) if machine.has_systemd else None
    if machine.missing_capabilities:
        _install_wrapper(context)
    if not _has_dockerd():
        _install_packages(context, data_root_existed=data_root_existed)
    if before is not None:
        # Taken back before the packages are: they may be what brought iptables.
        context.record.move_to_end(before)
        _start_service(context)
    else:
        daemon.start_daemon(context, _runtime_options(machine), data_root_existed=data_root_existed)
    context.progress(f"Docker engine {_require_access()} answers")


def _answers_already(context: Context) -> bool:
    """Tell whether an engine answers; raise when one is there, or meant, that starting another would not help."""
    url = find_engine_url()
    try:
        ask_engine("/version")
    except EngineForbiddenError as exc:
        if url == DEFAULT_URL and context.machine.has_systemd and _is_ours(context) and not SOCKET_CONFIG.exists():
            return False  # An interrupted run installed it, and did not come to give it to this user.
        raise ProvisionError(f"a Docker engine runs, but not for this user: {exc}", fix=JOIN_GROUP) from exc
    except EngineUnavailableError as exc:
        if url == DEFAULT_URL:
            return False
        message = f"DOCKER_HOST or the current context names an engine that does not answer: {exc}"
        raise ProvisionError(message, fix="start that engine, or unset DOCKER_HOST and DOCKER_CONTEXT") from exc
    return True


def _is_ours(context: Context) -> bool:
    return any(step.kind == "packages" and "docker.io" in step.data["names"] for step in context.record.steps)


def _observe_network(context: Context) -> Step:
    """Write down the network as it was before there was an engine, unless an interrupted run did."""
    noted = next((step for step in context.record.steps if step.kind == "network"), None)
    if noted is not None:
        return noted
    step = context.record.begin("network", **network.observe(context.runner))
    context.record.finish(step)
    return step


def _has_dockerd() -> bool:
    return shutil.which("dockerd", path=daemon.ROOT_PATH) is not None


def _install_packages(context: Context, *, data_root_existed: bool) -> None:
    # Newer releases have the client, which kind calls, in a package of its own.
    with_client = shutil.which("docker") is None and apt.has_candidate(context.runner, "docker-cli")
    packages = ("docker.io", "docker-cli") if with_client else ("docker.io",)
    if context.runner.run(["getent", "group", GROUP], timeout_s=10.0).returncode != 0:
        context.record.finish(context.record.begin("group", name=GROUP))
    # Purging docker.io deletes the data root: only what this run creates may go that way.
    apt.install(context, *packages, keep_files=data_root_existed)
    if not context.machine.has_systemd and is_answering(DEFAULT_URL):
        # Its start script ran, without the options that this machine may need.
        context.run_as_root("service", "docker", "stop", what="stopping the engine that the package started")


def _install_wrapper(context: Context) -> None:
    names = ", ".join(context.machine.missing_capabilities)
    context.progress(f"this machine lacks {names}: registering an OCI runtime that does not ask for it")
    if WRAPPER_PATH.exists():
        return
    interpreter = Path("/usr/bin/python3")
    if not interpreter.exists():
        # Not this environment's own: the wrapper has to work after the environment is gone.
        interpreter = Path(sys.base_prefix) / "bin" / "python3"
    _, _, body = WRAPPER_SOURCE.read_text(encoding="utf-8").partition("\n")
    context.write_as_root(str(WRAPPER_PATH), f"#!{interpreter} -IS\n{body}", mode="755")


def _runtime_options(machine: Machine) -> tuple[str, ...]:
    if not machine.missing_capabilities:
        return ()
    return ("--add-runtime", f"{RUNTIME_NAME}={WRAPPER_PATH}", "--default-runtime", RUNTIME_NAME)


def _daemon_config() -> dict[str, object]:
    return {"runtimes": {RUNTIME_NAME: {"path": str(WRAPPER_PATH)}}, "default-runtime": RUNTIME_NAME}


def _start_service(context: Context) -> None:
    configured = bool(context.machine.missing_capabilities) and _configure_service(context)
    ours = _is_ours(context)
    if ours and _needs_socket():
        _give_socket(context)
    active = context.runner.run(["systemctl", "is-active", "--quiet", "docker"], timeout_s=30.0).returncode == 0
    step = context.record.begin("service", name="docker", started=ours or not active)
    # The package starts its service itself, before it could be configured.
    verb = "restart" if active and configured else "start"
    context.progress(f"systemctl {verb} docker")
    fix = "see: journalctl -u docker"
    context.run_as_root("systemctl", verb, "docker", what="starting the Docker engine", fix=fix)
    context.record.finish(step)


def _needs_socket() -> bool:
    return os.geteuid() != 0


def _socket_config() -> str:
    import grp  # not on every platform, and this is called on Linux only

    return f"[Socket]\nSocketGroup={grp.getgrgid(os.getgid()).gr_name}\n"


def _give_socket(context: Context) -> None:
    """Give the socket of an engine that came with our packages to this user's primary group."""
    if SOCKET_CONFIG.exists():
        return
    context.write_as_root(str(SOCKET_CONFIG), _socket_config())
    fix = "see: journalctl -u docker.socket"
    context.run_as_root("systemctl", "daemon-reload", what="reading the configuration of the engine's socket", fix=fix)
    # A socket cannot be made anew while its service holds it.
    context.run_as_root("systemctl", "stop", *reversed(UNITS), what="stopping the engine to change its socket", fix=fix)
    context.run_as_root("systemctl", "start", *UNITS, what="starting the engine with its new socket", fix=fix)


def _configure_service(context: Context) -> bool:
    """Register the wrapper; tell whether that changed anything."""
    wanted = _daemon_config()
    if not DAEMON_CONFIG.exists():
        context.write_as_root(str(DAEMON_CONFIG), json.dumps(wanted, indent=2) + "\n")
        return True
    if json.loads(DAEMON_CONFIG.read_bytes()).get("default-runtime") == RUNTIME_NAME:
        return False
    message = f"{DAEMON_CONFIG} exists and is not ours to change, but the engine needs the runtime {WRAPPER_PATH}"
    raise ProvisionError(message, fix=f"add to it: {json.dumps(wanted)}")


def _require_access() -> str:
    """Return the version of the engine. Raises ProvisionError when it does not answer this user."""
    try:
        return str(ask_engine("/version")["Version"])
    except EngineUnavailableError as exc:
        raise ProvisionError(f"the Docker engine was started, but does not answer: {exc}", fix=JOIN_GROUP) from exc
