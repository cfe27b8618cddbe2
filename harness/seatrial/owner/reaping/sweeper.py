"""One look over everything of a trial, in the order in which it must go: what makes things goes before what is made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files, processes
from .engine import KIND_LABEL, TRIAL_LABEL, Engine, RefusedError, UnreachableError
from .records import Records, names_trial

TRIES = 16
TERM_GRACE_S = 2.0

Key = tuple[str, str]


class Sweeper:
    """Finds and removes what is a trial's, pass after pass, and remembers what became of each thing."""

    def __init__(self, journal: Path, trial_id: str, *, dry_run: bool = False) -> None:
        self._journal = journal
        self._trial_id = trial_id
        self._dry_run = dry_run
        self._failures: dict[Key, int] = {}
        self._seen: set[Key] = set()
        self._is_busy = False
        self.outcomes: dict[Key, str] = {}
        self.records = Records(journal)

    def make_pass(self) -> bool:
        """Go over everything once. Returns whether there was anything that another pass may have to look at."""
        self._is_busy = False
        self._seen.clear()
        # Asked anew in each pass: an engine may be back.
        self.outcomes = {key: how for key, how in self.outcomes.items() if not how.startswith("unreachable:")}
        self.records = Records(self._journal)
        self._end_processes()
        for host in self.records.docker_hosts:
            self._clear_engine(Engine(host))
        for entry in self.records.list_open("namespace"):
            self._remove_namespace(entry)
        for entry in self.records.list_open("directory", "file"):
            self._remove_path(entry)
        self._correct_outcomes()
        return self._is_busy

    def _correct_outcomes(self) -> None:
        """What could not be removed at first but is no longer there went after all."""
        if any(kind == "engine" for kind, _ in self.outcomes):
            return
        for key, how in self.outcomes.items():
            if how.startswith("failed:") and key not in self._seen and key[0] not in {"reaper", "namespace"}:
                self.outcomes[key] = "removed"

    def _handle(self, kind: str, name: str, remove: Callable[[], str | None]) -> None:
        """Remove one thing that is there. `remove` returns how it went, None for plainly removed."""
        key = (kind, name)
        self._seen.add(key)
        if self._dry_run:
            self.outcomes[key] = "found"
            return
        if self._failures.get(key, 0) >= TRIES:
            return
        try:
            how = remove() or "removed"
        except (OSError, RefusedError, UnreachableError, subprocess.SubprocessError) as exc:
            how = f"failed: {exc}"
            self._failures[key] = self._failures.get(key, 0) + 1
        self.outcomes[key] = how
        self._is_busy = self._is_busy or not how.startswith("refused:")

    def _end_processes(self) -> None:
        running = processes.list_running()
        pids = processes.choose_doomed(running, self._trial_id, self.records.list_processes())
        doomed = [running[pid] for pid in sorted(pids)]
        ended = {} if self._dry_run else processes.end_processes(doomed, grace_s=TERM_GRACE_S)
        for each in doomed:
            name = f"{each.pid} {each.command[:200]}"
            self._handle("process", name, lambda pid=each.pid: ended[pid])  # type: ignore[misc]

    def _clear_engine(self, engine: Engine) -> None:
        try:
            self._clear_containers(engine)
            self._clear_networks(engine)
            label = f"{TRIAL_LABEL}={self._trial_id}"
            for volume in engine.list_volumes(label):
                name = volume["Name"]
                self._handle("volume", name, lambda name=name: engine.remove_volume(name))  # type: ignore[misc]
            for image in engine.list_images(label):
                name = (image.get("RepoTags") or [image["Id"]])[0]
                self._handle("image", name, lambda image=image: engine.remove_image(image, force=True))  # type: ignore[misc]
        except (UnreachableError, RefusedError) as exc:
            self.outcomes["engine", engine.docker_host] = f"unreachable: {exc}"
            for kind, name in self.records.list_on_engine(engine.docker_host):
                self.outcomes.setdefault((kind, name), "unreachable: its engine cannot be asked for it")

    def _clear_containers(self, engine: Engine) -> None:
        names = [
            entry["name"]
            for entry in self.records.list_open("kind-cluster")
            if entry["docker_host"] == engine.docker_host and entry["name"].startswith("seatrial-")
        ]
        labels = [(f"{TRIAL_LABEL}={self._trial_id}", "container")]
        labels += [(f"{KIND_LABEL}={name}", "kind-cluster") for name in names]
        for label, kind in labels:
            for container in engine.list_containers(label):
                name = (container.get("Names") or [container["Id"]])[0].lstrip("/")
                self._handle(kind, name, lambda each=container: engine.remove_container(each))  # type: ignore[misc]

    def _clear_networks(self, engine: Engine) -> None:
        names = {
            entry["name"]
            for entry in self.records.list_open("named-network")
            if entry["docker_host"] == engine.docker_host and entry["name"].startswith("seatrial-")
        }
        found = {each["Id"]: each for each in engine.list_networks(f"{TRIAL_LABEL}={self._trial_id}")}
        if names:
            found |= {each["Id"]: each for each in engine.list_networks() if each["Name"] in names}
        for network_id, network in found.items():
            self._handle("network", network["Name"], lambda each=network_id: engine.remove_network(each))  # type: ignore[misc]

    def _remove_namespace(self, entry: dict[str, Any]) -> None:
        clusters = {f"kind-{each['name']}" for each in self.records.list_open("kind-cluster")}
        key = ("namespace", entry["name"])
        if entry["context"] in clusters or self.outcomes.get(key) == "removed" or self._failures.get(key, 0) >= TRIES:
            return  # It went with its cluster, or is on its way out already.
        if entry["kubeconfig"] and not os.path.lexists(entry["kubeconfig"]):
            return  # The kubeconfig of a cluster of ours goes only after the cluster.
        chosen = ["--field-selector", f"metadata.name={entry['name']}"]
        if not names_trial(entry["name"], self._trial_id):
            chosen += ["--selector", f"{TRIAL_LABEL}={self._trial_id}"]
        kubectl = ["kubectl", "--context", entry["context"], "--request-timeout=5s"]
        if entry["kubeconfig"]:
            kubectl += ["--kubeconfig", entry["kubeconfig"]]
        try:
            found = _run([*kubectl, "get", "namespace", *chosen, "-o", "name"])
        except (OSError, subprocess.SubprocessError) as exc:
            self._failures[key] = self._failures.get(key, 0) + 1
            self.outcomes[key] = f"failed: {_explain(exc)}"
            return
        if found.strip():
            self._handle(*key, lambda: _run([*kubectl, "delete", "namespace", *chosen, "--wait=false"]) and None)

    def _remove_path(self, entry: dict[str, Any]) -> None:
        path = Path(entry["path"])
        if not os.path.lexists(path):
            return
        if not files.may_remove(path, temp_dir=self.records.temp_dir, trial_id=self._trial_id):
            where = f"refused: neither below {self.records.temp_dir} nor marked by {files.OWNED}"
            self._handle(entry["kind"], str(path), lambda: where)
            return
        self._handle(entry["kind"], str(path), lambda: files.remove(path))


def _run(command: list[str]) -> str:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=8
    ).stdout


def _explain(exc: Exception) -> str:
    if isinstance(exc, subprocess.CalledProcessError):
        return str(exc.stderr).strip()[-300:]
    return str(exc)
