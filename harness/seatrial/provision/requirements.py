"""What targets need of the machine, asked quickly and without changing anything."""

from __future__ import annotations

import shutil
from pathlib import Path

from seatrial.provision.base_image import can_build, find_base_image, pulled_reference
from seatrial.provision.command import SystemRunner
from seatrial.provision.engine import JOIN_GROUP
from seatrial.provision.engine_api import (
    DEFAULT_URL,
    EngineForbiddenError,
    EngineUnavailableError,
    ask_engine,
    find_engine_url,
    find_image,
    is_answering,
)
from seatrial.provision.kind import GET_KIND, GET_KUBECTL, find_kind_version
from seatrial.provision.node_image import DEFAULT_IMAGE, FIX_UNREACHABLE
from seatrial.provision.registry import default_state_dir, probe_registry
from seatrial.provision.settings import KubernetesSettings
from seatrial.requirement import Requirement

PROVISION = "run `seatrial provision`"


def probe_docker() -> Requirement:
    """Tell whether a Docker engine answers this user."""
    try:
        version = ask_engine("/version")
    except EngineForbiddenError as exc:
        return Requirement(name="docker", found=False, detail=f"not for this user: {exc}", fix=JOIN_GROUP)
    except EngineUnavailableError as exc:
        return Requirement(name="docker", found=False, detail=f"no Docker engine answers: {exc}", fix=_fix_engine())
    detail = f"engine {version.get('Version')} at {find_engine_url()}"
    return Requirement(name="docker", found=True, detail=detail)


def probe_kind(settings: KubernetesSettings) -> Requirement:
    """Tell whether there is a kind that works, or a cluster to use in its stead."""
    if settings.context:
        return Requirement(name="kind", found=True, detail=f"not needed: the cluster is that of {settings.context}")
    if version := find_kind_version(SystemRunner()):
        return Requirement(name="kind", found=True, detail=version)
    fix = f"{PROVISION}, or {GET_KIND}"
    return Requirement(name="kind", found=False, detail="no kind on the PATH that works", fix=fix)


def probe_kubectl() -> Requirement:
    """Tell whether there is a kubectl."""
    path = shutil.which("kubectl")
    if path:
        return Requirement(name="kubectl", found=True, detail=path)
    fix = f"{PROVISION}, or {GET_KUBECTL}"
    return Requirement(name="kubectl", found=False, detail="no kubectl on the PATH", fix=fix)


def probe_node_image(settings: KubernetesSettings, state_dir: Path | None = None) -> Requirement:
    """Tell whether kind will have an image of a node: one that is here, or its own, which it pulls.

    Whether the registry answers is remembered in `state_dir` (default: that of the settings).
    """
    name, archive = settings.node_image, settings.node_archive
    if settings.context:
        return Requirement(name="node image", found=True, detail=f"not needed: the cluster is {settings.context}")
    if name is None:
        return _expect_pull(None, state_dir)
    try:
        found = find_image(name)
    except EngineUnavailableError:
        return Requirement(
            name="node image", found=False, detail=f"{name}: no Docker engine answers", fix=_fix_engine()
        )
    if found:
        return Requirement(name="node image", found=True, detail=name)
    if archive is None:
        return _expect_pull(name, state_dir)
    fix = (
        PROVISION
        if archive.is_file()
        else f"set targets.kubernetes.node_archive to an archive of {name}: {archive} is no file"
    )
    return Requirement(name="node image", found=False, detail=f"{name} is not on the engine", fix=fix)


def _expect_pull(name: str | None, state_dir: Path | None) -> Requirement:
    shown = name or "its own default"
    try:
        reason = probe_registry(name or DEFAULT_IMAGE, state_dir or default_state_dir())
    except EngineUnavailableError:
        detail = f"{shown}: no Docker engine answers"
        return Requirement(name="node image", found=False, detail=detail, fix=_fix_engine())
    if reason is None:
        return Requirement(name="node image", found=True, detail=f"kind pulls {shown}")
    return Requirement(
        name="node image", found=False, detail=f"kind would pull {shown}, but: {reason}", fix=FIX_UNREACHABLE
    )


def probe_base_image(state_dir: Path | None = None) -> Requirement:
    """Tell whether the image that server images are built on is here, or can be had without installing anything.

    Whether the registry answers is remembered in `state_dir` (default: that of the settings).
    """
    present = probe_present_base_image()
    if present.found or not is_answering():
        return present
    if can_build():
        return Requirement(
            name="base image", found=True, detail="will be pulled, or built from this machine's packages"
        )
    reason = probe_registry(pulled_reference(), state_dir or default_state_dir())
    if reason is None:
        return Requirement(name="base image", found=True, detail=f"{pulled_reference()} will be pulled")
    detail = f"{present.detail}, and cannot be pulled: {reason}"
    return Requirement(name="base image", found=False, detail=detail, fix=present.fix)


def probe_present_base_image() -> Requirement:
    """Tell whether the image that server images are built on is on the engine."""
    try:
        found = find_base_image()
    except EngineUnavailableError:
        return Requirement(name="base image", found=False, detail="no Docker engine answers", fix=_fix_engine())
    if found:
        detail = f"{found.ref} ({found.origin}, Python {found.python_version})"
        return Requirement(name="base image", found=True, detail=detail)
    fix = f"{PROVISION}, or docker pull {pulled_reference()}"
    return Requirement(name="base image", found=False, detail=f"{pulled_reference()} is not on the engine", fix=fix)


def _fix_engine() -> str:
    if (url := find_engine_url()) != DEFAULT_URL:
        return f"start the engine at {url}, or unset DOCKER_HOST and DOCKER_CONTEXT"
    return f"start Docker, or {PROVISION}"
