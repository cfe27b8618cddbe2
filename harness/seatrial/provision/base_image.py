"""The image that server images are built on: pulled where a registry answers, else made of Debian packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from seatrial.errors import UnmetRequirementError
from seatrial.provision import apt, debootstrap
from seatrial.provision.command import ProvisionError, Runner, SystemRunner
from seatrial.provision.context import Context, Progress
from seatrial.provision.engine_api import ask_engine, explaining, find_image, open_client
from seatrial.provision.machine import inspect_machine
from seatrial.provision.registry import can_pull

BUILD_FIX = "run `seatrial provision` (it installs debootstrap and builds one), or make the registry reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """A local image with Python on it, as `python3`.

    `python_version` is its minor version ("3.11"), which may differ from this process's own when it was built;
    `architecture` is the engine's name for it ("amd64").
    """

    ref: str
    image_id: str
    python_version: str
    origin: Literal["pulled", "debootstrap"]
    architecture: str


def ensure_base_image(client: Any, progress: Progress, *, state_dir: Path | None = None) -> BaseImage:
    """Return the base image, pulled or built first when there is none. Installs nothing on the machine.

    `client` is a docker.DockerClient. Raises UnmetRequirementError when it can be neither pulled nor built.
    """
    with _locked(state_dir):
        if (found := find_base_image()) or (found := _pull(client, progress, state_dir)):
            return found
        if not can_build():
            message = (
                f"no base image: {pulled_reference()} cannot be pulled, and building one needs root and debootstrap"
            )
            raise UnmetRequirementError(message, fix=BUILD_FIX)
        return _build(client, SystemRunner(), progress)


def provision_base_image(context: Context) -> BaseImage:
    """As `ensure_base_image`, but install debootstrap where it is needed, and record the image."""
    state_dir = context.record.state_dir
    with open_client(timeout_s=300) as client, _locked(state_dir):
        if found := find_base_image():
            return found
        step = context.record.begin("image", reference=pulled_reference())
        if found := _pull(client, context.progress, state_dir, afresh=True):
            context.record.finish(step, image_id=found.image_id)
            return found
        context.record.drop(step)
        if not context.machine.has_apt:
            message = f"{pulled_reference()} cannot be pulled, and {context.machine} has no apt to build another from"
            raise UnmetRequirementError(message, fix="make the registry reachable to the Docker engine")
        context.require_root("building a base image", list_build_commands())
        debootstrap.ensure_installed(context)
        step = context.record.begin("image", reference=_recipe().reference)
        found = _build(client, context.runner, context.progress)
        context.record.finish(step, image_id=found.image_id)
        return found


def find_base_image() -> BaseImage | None:
    """Return the base image that is on the engine. Raises EngineUnavailableError when no engine answers."""
    pulled, built = pulled_reference(), _recipe().reference
    if listed := find_image(pulled):
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return _describe(pulled, str(listed["Id"]), python, "pulled")
    if listed := find_image(built):
        return _describe(built, str(listed["Id"]), str(listed["Labels"]["seatrial.python"]), "debootstrap")
    return None


def pulled_reference() -> str:
    """Return the public image with the Python of this process."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-bookworm"


def list_commands() -> tuple[str, ...]:
    """Return the commands that `provision_base_image` would run, to be shown."""
    pull = f"docker pull {pulled_reference()}"
    return (f"{pull}, or where no registry answers:", *list_build_commands()) if _is_buildable() else (pull,)


def list_build_commands() -> tuple[str, ...]:
    """Return the commands that build a base image from packages, to be shown."""
    install = () if shutil.which("debootstrap") else (apt.format_install("debootstrap"),)
    return (*install, *debootstrap.list_commands(_recipe()))


def _is_buildable() -> bool:
    return inspect_machine().has_apt


def _describe(ref: str, image_id: str, python: str, origin: Literal["pulled", "debootstrap"]) -> BaseImage:
    architecture = str(ask_engine(f"/images/{image_id}/json")["Architecture"])
    return BaseImage(ref=ref, image_id=image_id, python_version=python, origin=origin, architecture=architecture)


def _recipe() -> debootstrap.Recipe:
    return debootstrap.choose_recipe(inspect_machine(), sys.version_info[:2])


def _pull(client: Any, progress: Progress, state_dir: Path | None, *, afresh: bool = False) -> BaseImage | None:
    reference = pulled_reference()
    if not can_pull(client, reference, state_dir, afresh=afresh):
        progress(f"{reference} cannot be pulled here")
        return None
    progress(f"pulling {reference}")
    try:
        with explaining(f"pulling {reference}", fix="make the registry reachable to the Docker engine"):
            client.images.pull(reference)
    except ProvisionError as exc:
        progress(exc.message)
        return None
    return find_base_image()


def can_build() -> bool:
    """Tell whether a base image can be built without installing anything."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("debootstrap") is not None


def _build(client: Any, runner: Runner, progress: Progress) -> BaseImage:
    recipe = _recipe()
    image_id = debootstrap.build_image(client, recipe, runner, progress)
    found = find_base_image()
    if found is None or found.image_id != image_id:
        message = f"{recipe.reference} was imported as {image_id}, but the engine does not list it: {found}"
        raise UnmetRequirementError(message, fix="unset DOCKER_HOST and DOCKER_CONTEXT, or set them to one engine")
    return found


@contextlib.contextmanager
def _locked(state_dir: Path | None) -> Iterator[None]:
    directory = state_dir or Path(tempfile.gettempdir())
    directory.mkdir(parents=True, exist_ok=True)
    owner = "" if state_dir else f"seatrial-{os.getuid()}-"
    with FileLock(directory / f"{owner}base-image.lock"):
        yield
