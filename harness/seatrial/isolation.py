"""Takes the Docker socket and credentials away from this process, before it runs code that is not ours.

Three things, each where the kernel allows it (Linux; root or unprivileged user namespaces): a mount namespace in which
sockets and credential files are covered, a PID namespace in which no other process (and so no other environment) is seen and
whatever the code leaves running ends with it, and no capability to undo either. The network stays: models download.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from seatrial.environ import copy_environ

HIDDEN_PATHS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
)
HIDDEN_IN_HOME = (
    ".aws",
    ".azure",
    ".cache/huggingface/token",
    ".config/gcloud",
    ".config/gh",
    ".config/pip/pip.conf",
    ".docker",
    ".git-credentials",
    ".huggingface/token",
    ".kaggle",
    ".kube",
    ".netrc",
    ".npmrc",
    ".pip/pip.conf",
    ".pypirc",
    ".ssh",
)
# Variables whose values are paths of credentials; they are taken away, and so is what they point to.
_PATH_VARIABLES = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "PIP_CONFIG_FILE",
)
_SECRET_PREFIXES = (
    "AWS_",
    "AZURE_",
    "CONTAINER_HOST",
    "DOCKER_",
    "GITHUB_",
    "GOOGLE_",
    "KUBE",
    "MLFLOW_TRACKING_",
    "SSH_",
)
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "API_KEY", "APIKEY", "ACCESS_KEY")
_SECRET_ENDINGS = ("_KEY", "_PWD", "_AUTH", "_PAT")
_HANDOVER = "SEATRIAL_HIDDEN_PATHS"


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment without what opens a door, with the paths that `enter_isolation` shall cover there.

    Args:
        environ: `os.environ` itself may be given, which others change meanwhile.
    """
    kept = {name: value for name, value in copy_environ(environ).items() if not _is_secret(name, value)}
    paths = [path for name in _PATH_VARIABLES for path in environ.get(name, "").split(os.pathsep) if path]
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        paths += [environ.get(name, "").removeprefix("unix://")]
    # Amazon's clients would otherwise ask the machine itself for credentials.
    kept["AWS_EC2_METADATA_DISABLED"] = "true"
    kept[_HANDOVER] = os.pathsep.join(path for path in paths if path.startswith("/"))
    return kept


def hide_doors() -> list[str]:
    """Cover sockets and credentials in a mount namespace of this process's own.

    Returns:
        What could not be covered, as paths; empty when all that exist are covered.
    """
    doors = _find_doors()
    if not doors:
        return []
    if not sys.platform.startswith("linux"):
        return doors
    from seatrial import namespaces

    if not namespaces.enter(processes=False):
        return doors
    return [path for path in doors if not namespaces.cover(path)]


def enter_isolation() -> list[str]:
    """Cover sockets and credentials, see no other process, and give up the rights to undo that.

    Returns in a new process, a child of the one that called; the caller's own waits for it and ends as it ends. Call it
    before threads are started.

    Returns:
        What could not be hidden, as paths; empty when nothing is left in reach.
    """
    doors = _find_doors()
    if not sys.platform.startswith("linux"):
        return doors
    from seatrial import namespaces

    if namespaces.enter(processes=True):
        namespaces.continue_in_child()
    elif not namespaces.enter(processes=False):
        return [*doors, "the environments of other processes"]
    failed = [path for path in doors if not namespaces.cover(path)]
    namespaces.drop_capabilities()
    return failed


def _find_doors() -> list[str]:
    home = Path("~").expanduser()
    runtime = f"/run/user/{os.getuid()}"
    handed_over = os.environ.pop(_HANDOVER, "").split(os.pathsep)
    candidates: Iterable[str] = (
        *HIDDEN_PATHS,
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        *(str(home / name) for name in HIDDEN_IN_HOME),
        *(path for path in handed_over if path),
    )
    # Not Path.exists, which raises where a directory may not be read.
    return [path for path in dict.fromkeys(map(os.path.realpath, candidates)) if os.path.exists(path)]  # noqa: PTH110


def _is_secret(name: str, value: str) -> bool:
    upper = name.upper()
    if upper.startswith(_SECRET_PREFIXES) or upper.endswith(_SECRET_ENDINGS) or any(w in upper for w in _SECRET_WORDS):
        return True
    with contextlib.suppress(ValueError):
        return "://" in value and urlsplit(value).password is not None
    return False
