"""The journal as the reaper reads it: plain JSON, tolerant of torn lines and of kinds it does not know."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from .processes import boot_id

ENGINE_KINDS = {"container", "network", "image", "kind-cluster", "named-network"}


def names_trial(name: str, trial_id: str) -> bool:
    """Return whether `trial_id` stands in `name` as a whole word, so that the id `a` is not found in `seatrial-dev-a1`."""
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(trial_id)}(?![A-Za-z0-9])", name) is not None


class Records:
    """What a journal holds: `open` entries, and the engines that any entry ever named."""

    def __init__(self, journal: Path) -> None:
        self.temp_dir = Path(tempfile.gettempdir())
        self.is_same_boot = True
        self.docker_hosts: list[str] = []
        self._open: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError):
            for line in journal.read_bytes().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    self._add(json.loads(line))

    def _add(self, line: dict[str, Any]) -> None:
        if line["op"] == "trial":
            self.temp_dir = Path(line["temp_dir"])
            self.is_same_boot = line["boot"] == boot_id()
        elif line["op"] == "create":
            entry = line["entry"]
            self._open[line["id"]] = entry
            host = entry.get("docker_host")
            if host and host not in self.docker_hosts:
                self.docker_hosts.append(host)
        elif line["op"] == "release":
            self._open.pop(line["id"], None)

    def list_open(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the entries of these kinds that nobody has released."""
        return [entry for entry in self._open.values() if entry.get("kind") in kinds]

    def list_on_engine(self, docker_host: str) -> list[tuple[str, str]]:
        """Return (kind, name) of the open entries of one engine, as far as they have names."""
        entries = self.list_open(*sorted(ENGINE_KINDS))
        return [
            (entry["kind"], entry["name"])
            for entry in entries
            if entry.get("docker_host") == docker_host and entry.get("name")
        ]

    def list_processes(self) -> list[tuple[int, int, int]]:
        """Return (pid, start time, process group) of every process recorded since this boot and not released."""
        entries = self.list_open("process") if self.is_same_boot else []
        return [(entry["pid"], entry["start_time"], entry["pgid"]) for entry in entries]

    def may_be_coming(self) -> bool:
        """Return whether something may still come into being: its creation was written down, its end was not."""
        return bool(self.list_open("spawning", "namespace", *ENGINE_KINDS))
