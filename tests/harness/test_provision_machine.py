"""Provisioning for real: this changes the machine, recorded in its usual place, so that `seatrial provision --undo` works.

The node image is the one of SEATRIAL_KUBERNETES_NODE_IMAGE and SEATRIAL_KUBERNETES_NODE_ARCHIVE, else kind's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seatrial.provision import (
    KubernetesSettings,
    Record,
    apply,
    ensure_base_image,
    open_client,
    plan,
    probe_docker,
    probe_kind,
    probe_kubectl,
)
from seatrial.provision.command import SystemRunner, remove_tree
from seatrial.provision.machine import inspect_machine
from seatrial.settings import General

pytestmark = pytest.mark.provision
TARGETS = ("docker", "kubernetes", "sagemaker")


@pytest.fixture(scope="module")
def state_dir() -> Path:
    return Path(os.environ.get("SEATRIAL_STATE_DIR") or General().state_dir).expanduser()


@pytest.fixture(scope="module")
def settings(state_dir: Path) -> KubernetesSettings:
    """The settings of a machine on which everything was provisioned."""
    archive = os.environ.get("SEATRIAL_KUBERNETES_NODE_ARCHIVE")
    found = KubernetesSettings(
        node_image=os.environ.get("SEATRIAL_KUBERNETES_NODE_IMAGE"), node_archive=Path(archive) if archive else None
    )
    apply(plan(TARGETS, found), Record(state_dir), lambda said: sys.stdout.write(f"{said}\n"))
    return found


def test_everything_answers_and_a_second_run_has_nothing_to_do(settings: KubernetesSettings) -> None:
    begun = time.monotonic()

    assert plan(TARGETS, settings) == []

    assert time.monotonic() - begun < 1.0
    assert [probe.found for probe in (probe_docker(), probe_kind(settings), probe_kubectl())] == [True] * 3
    assert "kind" in subprocess.run(["kind", "version"], capture_output=True, text=True, timeout=20).stdout


def test_the_base_image_runs_the_python_it_says(settings: KubernetesSettings, state_dir: Path) -> None:
    program = "import http.server, sqlite3, ssl, sys; print('%d.%d' % sys.version_info[:2])"
    with open_client() as client:
        base = ensure_base_image(client, pytest.fail, state_dir=state_dir)
        said = client.containers.run(base.image_id, ["python3", "-c", program], remove=True, network_mode="none")

    assert said.decode().strip() == base.python_version
    if base.origin == "pulled":
        assert base.python_version == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_a_privileged_container_starts_and_is_entered(settings: KubernetesSettings, state_dir: Path) -> None:
    """What kind needs, and what fails where the machine lacks a capability that the engine asks for."""
    with open_client() as client:
        base = ensure_base_image(client, pytest.fail, state_dir=state_dir)
        container = client.containers.run(base.image_id, ["sleep", "60"], privileged=True, detach=True)
        try:
            entered = container.exec_run(["cat", "/proc/self/status"], privileged=True)
        finally:
            container.remove(force=True)

    assert entered.exit_code == 0, entered.output
    (line,) = [line for line in entered.output.decode().splitlines() if line.startswith("CapEff:")]
    # The engine may know fewer capabilities than the kernel has, but never gives one that the machine lacks.
    assert (int(line.split()[1], 16) >> 24 & 1) == ("CAP_SYS_RESOURCE" not in inspect_machine().missing_capabilities)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_directory_that_was_mounted_on_itself_is_removed(tmp_path: Path) -> None:
    """As an engine leaves its data root."""
    directory = tmp_path / "data-root"
    (directory / "overlay").mkdir(parents=True)
    runner = SystemRunner()
    for mount in (directory, directory / "overlay"):
        assert runner.run(["mount", "--bind", str(mount), str(mount)]).returncode == 0

    remove_tree(runner, directory)

    assert not directory.exists()
    assert str(directory) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
