"""Quick questions to a Docker engine, with the standard library only: a probe must not import an SDK.

Source: https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seatrial.errors import UnmetRequirementError
from seatrial.provision.command import ProvisionError

DEFAULT_URL = "unix:///var/run/docker.sock"
PROBE_TIMEOUT_S = 2.0


class EngineUnavailableError(UnmetRequirementError):
    """No engine answered; the message says what was asked and what came."""

    def __init__(self, message: str) -> None:
        super().__init__(message, fix="start the Docker engine, or run `seatrial provision`")


class EngineForbiddenError(EngineUnavailableError):
    """An engine is there, but this user may not use it."""


class EngineRefusedError(EngineUnavailableError):
    """An engine answered with another `status` than 200."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def find_engine_url() -> str:
    """Return the address of the engine that this user's tools talk to.

    As the docker client chooses it: DOCKER_HOST, then the current context, then the usual sockets of this platform.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    if host := _read_context_host(Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")):
        return host
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    desktop = [Path.home() / ".docker/run/docker.sock"]
    sockets = [Path("/var/run/docker.sock"), *([Path(runtime) / "docker.sock"] if runtime else []), *desktop]
    return next((f"unix://{path}" for path in sockets if path.exists()), DEFAULT_URL)


def _read_context_host(config_dir: Path) -> str | None:
    try:
        name = (
            os.environ.get("DOCKER_CONTEXT") or json.loads((config_dir / "config.json").read_bytes())["currentContext"]
        )
        metas = [json.loads(path.read_bytes()) for path in (config_dir / "contexts/meta").glob("*/meta.json")]
        return next((str(meta["Endpoints"]["docker"]["Host"]) for meta in metas if meta["Name"] == name), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask_engine(path: str, *, url: str | None = None, timeout_s: float = PROBE_TIMEOUT_S) -> Any:
    """Return the JSON the engine answers to `GET path`. Raises EngineUnavailableError when it does not answer 200."""
    address = url or find_engine_url()
    try:
        with contextlib.closing(_connect(address, timeout_s)) as connection:
            connection.request("GET", path, headers={"Host": "docker"})
            response = connection.getresponse()
            body = response.read()
    except PermissionError as exc:
        raise EngineForbiddenError(f"{address}: {exc}") from exc
    except (OSError, http.client.HTTPException) as exc:
        raise EngineUnavailableError(f"{address}: {exc}") from exc
    if response.status != 200:
        raise EngineRefusedError(f"{address}{path}: status {response.status}: {_find_message(body)}", response.status)
    return json.loads(body)


def _find_message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return repr(body[:200])


def is_answering(url: str | None = None) -> bool:
    """Tell whether an engine answers at `url`, or where this user's tools look for one."""
    try:
        ask_engine("/version", url=url)
    except EngineUnavailableError:
        return False
    return True


def find_image(reference: str) -> dict[str, Any] | None:
    """Return what the engine says of a local image, None when it has none of that name.

    Raises EngineUnavailableError when no engine answers.
    """
    filters = urllib.parse.quote(json.dumps({"reference": [reference]}))
    images = ask_engine(f"/images/json?filters={filters}")
    return images[0] if images else None


@contextlib.contextmanager
def open_client(timeout_s: int = 60) -> Iterator[Any]:
    """Open a docker.DockerClient to the engine that `find_engine_url` names: the SDK by itself knows no contexts."""
    import docker

    url = find_engine_url()
    client = (
        docker.from_env(timeout=timeout_s)
        if os.environ.get("DOCKER_HOST")
        else docker.DockerClient(url, timeout=timeout_s)
    )
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def explaining(what: str, fix: str) -> Iterator[None]:
    """Turn the SDK's errors in the block into ProvisionError: `what` failed, and `fix` is to be done."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as exc:
        raise ProvisionError(f"{what} failed: {getattr(exc, 'explanation', None) or exc}", fix=fix) from exc


def _connect(address: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout_s)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise EngineUnavailableError(f"{address}: not an address that can be used here (unix:// and tcp:// can)")
    if parts.scheme == "https" or os.environ.get("DOCKER_TLS_VERIFY"):
        certificates = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout_s)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
