"""The few questions to a Docker engine that cleaning up takes, over its socket: no client program, no SDK.

Paths and answers: https://docs.docker.com/reference/api/engine/ (unversioned, so any engine answers in its own).
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TRIAL_LABEL = "seatrial.trial"
CACHE_LABEL = "seatrial.cache"
KIND_LABEL = "io.x-k8s.kind.cluster"


class UnreachableError(Exception):
    """No engine answers at that address."""


class RefusedError(Exception):
    """The engine answered, but would not do it."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """A Docker engine at `docker_host` (unix:// or plain tcp://). Every call is a connection of its own."""

    def __init__(self, docker_host: str, *, timeout_s: float = 5.0, removal_timeout_s: float = 15.0) -> None:
        self.docker_host = docker_host
        self.timeout_s = timeout_s
        self.removal_timeout_s = removal_timeout_s

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        address = urlsplit(self.docker_host)
        if address.scheme == "unix":
            return _UnixConnection(address.path, timeout_s)
        if address.scheme in {"tcp", "http"} and address.hostname:
            return http.client.HTTPConnection(address.hostname, address.port or 2375, timeout=timeout_s)
        raise UnreachableError(f"{self.docker_host}: only unix:// and tcp:// without TLS are spoken here")

    def ask(self, method: str, path: str, **query: str) -> Any:
        """Return the decoded answer, None for 404. Raises UnreachableError, RefusedError."""
        connection = self._connect(self.removal_timeout_s if method == "DELETE" else self.timeout_s)
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise UnreachableError(f"{self.docker_host}: {type(exc).__name__} {exc}") from exc
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status >= http.client.BAD_REQUEST:
            raise RefusedError(f"{answer.status} {_find_message(body)}")
        return json.loads(body) if body.strip() else {}

    def list_containers(self, label: str) -> list[dict[str, Any]]:
        """Return the containers, stopped ones too, that carry `label` (`name` or `name=value`)."""
        return self.ask("GET", "/containers/json", all="1", filters=_filter(label)) or []

    def list_networks(self, label: str = "") -> list[dict[str, Any]]:
        """Return the networks that carry `label`, or all."""
        query = {"filters": _filter(label)} if label else {}
        return self.ask("GET", "/networks", **query) or []

    def list_images(self, label: str) -> list[dict[str, Any]]:
        """Return the images that carry `label`."""
        return self.ask("GET", "/images/json", filters=_filter(label)) or []

    def list_volumes(self, label: str) -> list[dict[str, Any]]:
        """Return the volumes that carry `label`."""
        return (self.ask("GET", "/volumes", filters=_filter(label)) or {}).get("Volumes") or []

    def remove_container(self, container: dict[str, Any]) -> None:
        """Kill and remove a container with its anonymous volumes. Raises RefusedError."""
        if container.get("State") == "paused":
            self.ask("POST", f"/containers/{container['Id']}/unpause")
        self.ask("DELETE", f"/containers/{container['Id']}", force="1", v="1")

    def remove_network(self, network_id: str) -> None:
        """Remove a network. Raises RefusedError while something is attached to it."""
        self.ask("DELETE", f"/networks/{network_id}")

    def remove_volume(self, name: str) -> None:
        """Remove a volume. Raises RefusedError while it is in use."""
        self.ask("DELETE", f"/volumes/{quote(name, safe='')}")

    def remove_image(self, image: dict[str, Any], *, force: bool) -> None:
        """Remove an image by all of its names. Raises RefusedError while a container uses it.

        Without `force`, a stopped container counts as well.
        """
        names = [image["Id"]] if force else (image.get("RepoTags") or [image["Id"]])
        for name in names:
            if name != "<none>:<none>":
                self.ask("DELETE", f"/images/{quote(name, safe=':/')}", **({"force": "1"} if force else {}))


def _filter(label: str) -> str:
    return json.dumps({"label": [label]})


def _find_message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
